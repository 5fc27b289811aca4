"""Signed pictures: read back and valid, without the group; certificates that cannot sign are refused at once."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image
from typer.testing import CliRunner

from benchmarks.certificates import certificate
from fair_diffusion.cli import app
from fair_diffusion.files.signature import CHANGED_BY_A_MODEL, MADE_BY_A_MODEL, Signature, named
from fair_diffusion.service.picture_file import MEDIA, picture_file
from fair_diffusion.service.serving import prepared
from fair_diffusion.service.settings import Settings

PUBLIC = {"made_by": "a model", "model": "pocket", "rule": "every occupation"}


def read(file: bytes, media: str) -> tuple[str, dict[str, Any]]:
    """What a reader says of a signature, and the manifest."""
    with c2pa.Reader(media, io.BytesIO(file)) as reader:
        return str(reader.get_validation_state()), dict(reader.get_active_manifest())


@pytest.mark.parametrize("format", list(MEDIA))
def test_a_signed_picture_is_valid_and_says_that_a_model_made_it(tmp_path: Path, format: str) -> None:
    signature, picture = Signature.of(*certificate(tmp_path)), Image.effect_noise((64, 64), 60).convert("RGB")
    plain = picture_file(picture, PUBLIC, format=format)
    file = picture_file(picture, PUBLIC, format=format, signature=signature)
    state, manifest = read(file, MEDIA[format])
    assert state == "Valid"
    (assertion,) = [each for each in manifest["assertions"] if each["label"].startswith("c2pa.actions")]
    (action,) = assertion["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", MADE_BY_A_MODEL)
    assert action["softwareAgent"]["name"] == "pocket"
    assert "thumbnail" not in json.dumps(manifest)
    assert len(file) - len(plain) < 20_000
    with Image.open(io.BytesIO(file)) as opened, Image.open(io.BytesIO(plain)) as before:
        assert opened.tobytes() == before.tobytes()
        assert opened.info["xmp"] == before.info["xmp"]


def test_a_picture_that_was_made_of_somebodys_says_so(tmp_path: Path) -> None:
    picture = Image.effect_noise((64, 64), 60).convert("RGB")
    file = picture_file(picture, PUBLIC, signature=Signature.of(*certificate(tmp_path)), changed=True)
    state, manifest = read(file, "image/png")
    assert state == "Valid"
    assert json.dumps(manifest).count(CHANGED_BY_A_MODEL) == 1
    with Image.open(io.BytesIO(file)) as opened:
        assert f'DigitalSourceType="{CHANGED_BY_A_MODEL}"' in opened.info["XML:com.adobe.xmp"]


@pytest.mark.parametrize("at", [0.3, 0.9])
def test_a_picture_that_was_changed_is_not_valid(tmp_path: Path, at: float) -> None:
    picture = Image.effect_noise((64, 64), 60).convert("RGB")
    file = bytearray(picture_file(picture, PUBLIC, format="jpeg", signature=Signature.of(*certificate(tmp_path))))
    start = bytes(file).rindex(b"\xff\xda") + 20
    file[start + int(at * (len(file) - start - 4))] ^= 1
    assert read(bytes(file), "image/jpeg")[0] == "Invalid"


def test_certificates_and_keys_that_cannot_sign_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificate(tmp_path)
    for name in ("other", "old", "server", "curve", "locked"):
        (tmp_path / name).mkdir()
    wrong = [
        (chain, certificate(tmp_path / "other")[1], "does not belong to"),
        (key, key, "is no certificate"),
        (chain, chain, "is no private key"),
        (chain, tmp_path / "none.pem", "none.pem"),
        (*certificate(tmp_path / "old", days=-1), "cannot sign pictures"),
        (*certificate(tmp_path / "server", usage=ExtendedKeyUsageOID.SERVER_AUTH), "cannot sign .*emailProtection"),
        (*certificate(tmp_path / "curve", curve=ec.SECP384R1()), "on the curve P-256"),
        (*certificate(tmp_path / "locked", encryption=BestAvailableEncryption(b"x")), "has a password"),
    ]
    for one, other, said in wrong:
        with pytest.raises(ValueError, match=said) as error:
            Signature.of(one, other)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="is no private key"):
        prepared(Settings(data=tmp_path / "data", c2pa=(chain, chain)))
    assert not (tmp_path / "data").exists()
    ran = CliRunner().invoke(app, ["worker", "--data", str(tmp_path / "data"), "--c2pa", str(chain), str(chain)])
    assert ran.exit_code == 2
    assert "is no private key" in ran.output
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(ValueError, match=r'pip install "fair-diffusion\[c2pa\]"'):
        Signature.of(chain, key)


def test_both_files_may_stand_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIR_DIFFUSION_C2PA", "chain.pem 'a folder/key.pem'")
    assert Settings(data=tmp_path).c2pa == (Path("chain.pem"), Path("a folder/key.pem"))
    with pytest.raises(ValueError, match="name two files"):
        named("chain.pem")
    with pytest.raises(ValueError, match="the setting c2pa cannot be used"):
        Settings.read(data=tmp_path, c2pa="chain.pem")


def test_generate_signs_what_it_writes(tmp_path: Path) -> None:
    files = [str(file) for file in certificate(tmp_path)]
    out = tmp_path / "out"
    asked = ["generate", "a nurse", "-n", "1", "--steps", "1", "--out", str(out), "--c2pa", *files]
    assert CliRunner().invoke(app, [*asked, "--instruct", "nurse: all women"]).exit_code in (0, 3)
    (file,) = [path for path in out.glob("*.png") if path.name != "contact-sheet.png"]
    assert read(file.read_bytes(), "image/png")[0] == "Valid"
