"""Signed pictures: who says that a model made them. C2PA content credentials (https://spec.c2pa.org), extra `c2pa`.

A picture is signed after everything else was written into it, with one's own certificate and without the network: no
time stamp is fetched. The manifest says that a model made the picture and which one; no prompt, no group, no thumbnail.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from PIL import Image

from fair_diffusion.files import guarded

MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for what a model made."""
CHANGED_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for what a model made of something else, such as a person's picture."""
SIDE = 32
"""Bytes of each of the two numbers of an ES256 signature."""
LARGEST = 1 << 20
"""Bytes of a certificate or a key at most."""
_STATES = ("Valid", "Trusted")
_UNTRUSTED = "signingCredential.untrusted"  # whom readers trust is up to them


@dataclass(frozen=True, repr=False)
class Signature:
    """Signs pictures.

    Attributes:
        chain: the certificate and those that it rests on, as PEM.
        key: the private key.
    """

    chain: str
    key: Any

    @classmethod
    def of(cls, certificate: Path, key: Path) -> Self:
        """The signature with a certificate, checked by signing a picture.

        Args:
            certificate: PEM of an EC P-256 certificate that may sign, then of those that it rests on.
            key: PEM of its private key, without a password.

        Raises:
            ValueError: what is needed is not installed, or a file cannot be used, with the mend.
        """
        try:
            import c2pa  # noqa: F401
            from cryptography import x509
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ModuleNotFoundError as error:
            raise ValueError(f'signing needs more: pip install "fair-diffusion[c2pa]" ({error})') from None
        chain = _text(certificate)
        try:
            leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        except ValueError:
            raise ValueError(f"{certificate} is no certificate; give a chain as PEM, the signer's first") from None
        try:
            private = load_pem_private_key(_text(key).encode(), None)
        except TypeError:
            raise ValueError(f"the key {key} has a password; give one without, that others may not read") from None
        except ValueError:
            raise ValueError(f"{key} is no private key; give one as PEM") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise ValueError(f"the key {key} is of another kind; give one for ES256, on the curve P-256")
        if leaf.public_key() != private.public_key():
            raise ValueError(f"the key {key} does not belong to {certificate}; give the key of its first certificate")
        made = cls(chain, private)
        if why := made._refused():
            mend = "give one that an issuer made, for digitalSignature and emailProtection (docs/how-to/sign-images.md)"
            raise ValueError(f"{certificate} cannot sign pictures ({why}); {mend}")
        return made

    def signed(self, content: bytes, media: str, *, model: str, source: str = MADE_BY_A_MODEL) -> bytes:
        """A picture with its signature.

        Args:
            content: the file, PNG, JPEG or WebP.
            media: its media type.
            model: the name of the model that made it.
            source: IPTC's word for how.
        """
        import c2pa

        from fair_diffusion import __version__

        made = {"action": "c2pa.created", "digitalSourceType": source, "softwareAgent": {"name": model}}
        manifest = {
            "claim_generator_info": [{"name": "fair-diffusion", "version": __version__}],
            "format": media,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
        }
        context = c2pa.Context(c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}}))
        out = BytesIO()
        with (
            c2pa.Signer.from_callback(self._sign, c2pa.C2paSigningAlg.ES256, self.chain, None) as signer,
            c2pa.Builder(manifest, context) as builder,
        ):
            builder.sign(signer, media, BytesIO(content), out)
        return out.getvalue()

    def _sign(self, data: bytes) -> bytes:
        """The two numbers of an ES256 signature, one after the other."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        pair = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(SHA256())))
        return b"".join(number.to_bytes(SIDE, "big") for number in pair)

    def _refused(self) -> str | None:
        """Why pictures with this signature are not valid; None if they are."""
        import c2pa

        file = BytesIO()
        Image.new("RGB", (8, 8)).save(file, "PNG")
        try:
            signed = self.signed(file.getvalue(), "image/png", model="none")
            with c2pa.Reader("image/png", BytesIO(signed)) as reader:
                if reader.get_validation_state() in _STATES:
                    return None
                results = reader.get_validation_results()["activeManifest"]["failure"]
        except c2pa.C2paError as error:
            return str(error).splitlines()[0]
        return ", ".join(result["code"] for result in results if result["code"] != _UNTRUSTED)


def _text(file: Path) -> str:
    try:
        return guarded.text(file, LARGEST)
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}); give a file as PEM") from None
    except ValueError:
        raise ValueError(f"{file} is no text; give a file as PEM") from None


def named(given: str | Sequence[str | Path]) -> tuple[Path, Path]:
    """Certificate and key, as two paths or as a text with a space between; quotes are as in a shell.

    Raises:
        ValueError: it is not two paths.
    """
    parts = shlex.split(given) if isinstance(given, str) else list(given)
    if len(parts) != 2:
        raise ValueError("name two files: the certificate and its key")
    return Path(parts[0]), Path(parts[1])
