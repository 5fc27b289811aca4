"""Certificates for tests and measurements: made anew, and trusted by nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = Encoding.PEM


def certificate(
    folder: Path,
    *,
    days: int = 30,
    curve: ec.EllipticCurve | None = None,
    usage: Any = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    encryption: KeySerializationEncryption | None = None,
) -> tuple[Path, Path]:
    """The files of a certificate that may sign, with its root, and of its key.

    Args:
        folder: where they go.
        days: for how long it is valid from now on.
        curve: of the key; P-256 if None.
        usage: what the certificate is for.
        encryption: of the key; none if None.
    """
    root, key = (ec.generate_private_key(curve or ec.SECP256R1()) for _ in range(2))
    issuer = _made("a root", root.public_key(), by=root, days=days, usage=None)
    own = _made("a signer", key.public_key(), by=root, days=days, usage=usage)
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(own.public_bytes(PEM) + issuer.public_bytes(PEM))
    private.write_bytes(key.private_bytes(PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return chain, private


def _made(
    name: str, public: ec.EllipticCurvePublicKey, *, by: ec.EllipticCurvePrivateKey, days: int, usage: Any
) -> x509.Certificate:
    now, root = datetime.now(UTC), usage is None
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("a root"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not root,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=root,
                crl_sign=root,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not root:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(by, hashes.SHA256())


def _name(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
