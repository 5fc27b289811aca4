"""The installed package, without the source tree and without a network: what a person does on the first day."""

from __future__ import annotations

import base64
import io
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from package_environment import Run, install
from PIL import Image

pytestmark = pytest.mark.package
DRAW = ("a photo of a firefighter", "-n", "2", "--seed", "0", "--steps", "5", "--instruct", "firefighter: half women")


@pytest.fixture(scope="module")
def drawn(bare_run: Run, bare_place: Path) -> Path:
    """A run of two images."""
    made = bare_run("generate", *DRAW, "--out", "drawn")
    assert made.returncode in (0, 3), made.stderr
    return bare_place / "drawn"


def test_the_package_is_the_installed_one(
    bare_environment: Path, bare_place: Path, shell_variables: dict[str, str]
) -> None:
    told = "import fair_diffusion; print(fair_diffusion.__file__, fair_diffusion.__version__)"
    python = [str(bare_environment / "bin" / "python"), "-c", told]
    said = subprocess.run(
        python, cwd=bare_place, env=shell_variables, capture_output=True, text=True, check=True
    ).stdout.split()
    assert Path(said[0]).is_relative_to(bare_environment)
    assert said[1] == "0.1.0"


def test_generate_draws_with_the_pocket_model(drawn: Path) -> None:
    assert len([path for path in drawn.rglob("*.png") if path.name != "contact-sheet.png"]) == 2
    assert json.loads((drawn / "result.json").read_text())["n"] == 2


def test_a_run_is_audited_anew(bare_run: Run, drawn: Path, bare_place: Path) -> None:
    made = bare_run("audit", str(drawn), "--perceiver", "judge", "--out", "audit")
    assert made.returncode == 0, made.stderr
    assert (bare_place / "audit" / "report.html").is_file()


def test_a_run_becomes_a_report(bare_run: Run, drawn: Path, bare_place: Path) -> None:
    made = bare_run("report", str(drawn), "--out", "page.html")
    assert made.returncode == 0, made.stderr
    assert "firefighter" in (bare_place / "page.html").read_text(encoding="utf-8")


def test_explain_and_models_need_no_extra(bare_run: Run) -> None:
    assert "fires for 'surgeon'" in bare_run("explain", "a surgeon", "--instruct", "surgeon: half women").stdout
    assert "pocket" in bare_run("models").stdout


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (("serve", "--data", "none", "--port", "0"), 'pip install "fair-diffusion[service]"'),
        (("audit", "drawn", "--perceiver", "faces", "--out", "none"), "pip install 'fair-diffusion[faces]'"),
    ],
)
def test_what_an_extra_brings_is_named(bare_run: Run, drawn: Path, arguments: tuple[str, ...], mend: str) -> None:
    made = bare_run(*arguments)
    assert made.returncode == 2
    assert mend in made.stderr


def test_serve_serves_with_its_extra(
    bare_environment: Path, wheel: Path, shell_variables: dict[str, str], drawn: Path, bare_place: Path
) -> None:
    install(bare_environment, f"{wheel}[service]")
    told = [str(bare_environment / "bin" / "fair-diffusion"), "serve", "--data", "service", "--port", "0"]
    with subprocess.Popen(told, cwd=bare_place, env=shell_variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            address, key = greeting(server)
            picture = asked_for(address, key)
        finally:
            server.send_signal(signal.SIGTERM)
    assert picture.size == (64, 64)
    assert server.returncode == 0


def greeting(server: subprocess.Popen[str]) -> tuple[str, str]:
    """The address and the key that a server says at its start."""
    assert server.stdout is not None
    address = key = ""
    while not key:
        line = server.stdout.readline()
        assert line, f"the server ended before it said its key, with {server.wait()}"
        if told := re.match(r"serving on (http://[\d.:]+)", line):
            address = told[1]
        if told := re.match(r"key: (\S+)", line):
            key = told[1]
    return address, key


def asked_for(address: str, key: str) -> Image.Image:
    """The picture that the server draws, once its worker has loaded the model."""
    body = {"prompt": "a photo of a firefighter", "response_format": "b64_json", "fairness": {"steps": 4}}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/images/generations", json.dumps(body).encode(), headers)
    loopback = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        try:
            with loopback.open(request) as answer:
                (item,) = json.load(answer)["data"]
            return Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503:
                raise
            time.sleep(1)
    raise AssertionError("no worker has loaded the model")
