"""What goes wrong on a first day: each mistake is one sentence that names the value and the mend, with exit code 2."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fair_diffusion.cli import app

runner = CliRunner(env={"COLUMNS": "500"})
NURSE = ("generate", "a nurse", "-n", "2")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a newcomer may have, in which commands run."""
    monkeypatch.chdir(tmp_path)
    for folder in ("full", "empty", "broken/nurse"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "full" / "a.txt").write_text("mine")
    (tmp_path / "broken" / "nurse" / "a.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "bad.yaml").write_text("version: 1\nrules:\n  - concepts: [nurse]\n    targets: {gender: {womam: 1}}\n")
    return tmp_path


def refused(*words: str) -> str:
    """The message of a command that is refused; it leaves nothing new behind."""
    before = set(Path().rglob("*"))
    result = runner.invoke(app, words)
    assert result.exit_code == 2, result.output
    assert not isinstance(result.exception, ValueError | OSError), result.exception
    assert set(Path().rglob("*")) == before
    return result.stderr.strip()


@pytest.mark.parametrize(
    ("words", "value", "mend"),
    [
        ((*NURSE, "--out", "full"), "full is not empty", "name a new folder"),
        ((*NURSE, "--out", "notes.txt/x"), "notes.txt/x cannot be written", "name a folder"),
        ((*NURSE, "--instruct", "nurse: half blue", "--out", "o"), "'blue': unknown group", "use one of: woman, man"),
        ((*NURSE, "--policy", "bad.yaml", "--out", "o"), "line 4: 'womam'", "did you mean 'woman'?"),
        ((*NURSE, "--policy", "none.yaml", "--out", "o"), "'none.yaml'", "name a readable YAML file"),
        ((*NURSE, "--model", "./none", "--out", "o"), "unknown model './none'", "`fair-diffusion models` lists"),
        ((*NURSE, "--device", "xla", "--out", "o"), "no xla; it has cpu", "name one of these"),
        (("audit", "none", "--perceiver", "judge", "--out", "o"), "none is not there", "name a run, a study"),
        (("audit", "empty", "--perceiver", "judge", "--out", "o"), "no images in empty", "it needs PNG"),
        (("audit", "broken", "--perceiver", "judge", "--out", "o"), "nurse/a.png", "no picture of a kind that is read"),
        (("audit", "broken", "--out", "o"), "images that nobody has read", "name a perceiver: pocket"),
        (("audit", "broken", "--perceiver", "jugde", "--out", "o"), "unknown perceiver 'jugde'", "use one of pocket"),
        (("report", "empty", "--out", "p.html"), "empty is no study and no run", "`fair-diffusion audit` makes"),
        (
            ("rebalance", "none", "--prompt", "a nurse", "--instruct", "nurse: half men", "--out", "o"),
            "none",
            "name one",
        ),
        (("pocket", "export", "full"), "full is not empty", "name a new folder"),
        (("ledger", "show", "none.sqlite"), "none.sqlite does not exist", "makes it"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_mend(place: Path, words: Sequence[str], value: str, mend: str) -> None:
    told = refused(*words).splitlines()[-1]
    assert value in told
    assert mend in told


def test_a_folder_that_is_no_model_is_told(place: Path) -> None:
    told = refused(*NURSE, "--model", "empty", "--perceiver", "pocket", "--judge", "judge", "--out", "o")
    assert "'empty' is not a model as diffusers writes it" in told
    assert "name a folder that save_pretrained wrote" in told


def test_a_port_in_use_is_told_before_a_key_is_made(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refused("serve", "--port", str(port), "--data", "data", "--workers", "0")
    assert told.startswith(f"cannot listen on port {port} of 127.0.0.1 (")
    assert "name another with --port, 0 for any that is free" in told


@pytest.mark.parametrize(
    ("where", "option"),
    [
        ((), ""),
        (("--data", "of shop"), " --data 'of shop'"),
        (("--database", "keys.sqlite"), " --database keys.sqlite"),
    ],
)
def test_the_command_that_makes_the_first_key_names_this_service(
    place: Path, where: Sequence[str], option: str
) -> None:
    told = refused("serve", "--host", "0.0.0.0", "--port", "0", "--workers", "0", *where)
    assert f"`fair-diffusion keys add NAME --role operator{option}`, or serve on 127.0.0.1" in told
