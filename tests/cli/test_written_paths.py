"""Nothing that is written tells where it was made: no absolute path, and no name of the user in one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.perception import judge as network
from fair_diffusion.perception.confusion import Confusion
from fair_diffusion.perception.trained import TrainedPerceiver

WHO = "zaphodbeeble"
"""The name of the user: the temporary home is called so."""
GROUPS = ["woman", "man", "androgynous"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_sd: Any) -> Path:
    """A home with a model, readers, a policy, labels and pictures."""
    home = tmp_path_factory.mktemp("home") / WHO
    home.mkdir()
    tiny_sd.save_pretrained(home / "models" / "mine", safe_serialization=True)
    for seed, name in enumerate(("steers", "scores")):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            reader = network.build({"gender": GROUPS}).eval()
        reader.side = 16
        counts = [[9, 1, 0, 0], [1, 9, 0, 0], [0, 0, 10, 0]]
        confusion = Confusion(attribute="gender", groups=GROUPS, counts=counts, measured_on="10 pictures")
        TrainedPerceiver(reader, confusion, 0).save(home / "readers" / name)
    (home / "policy.yaml").write_text(
        "version: 1\nrules:\n  - concepts: [nurse]\n    targets:\n      gender: {woman: 0.5, man: 0.5}\n"
    )
    return home


def run(*arguments: object) -> str:
    """What a command prints on standard output."""
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ended.exit_code in (0, 3), ended.output
    return ended.stdout


def told(path: Path) -> str:
    """Everything that a file tells, unpacked."""
    text = path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        text += f"{table.to_pylist()} {table.schema.metadata}"
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
            text += str(image.info)
    elif path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            text += "\n".join(connection.iterdump())
    return text


def check(*written: Path, said: str = "") -> None:
    """Look for the user's name in every file of what was written, and in what was said to a program."""
    files = [path for one in written for path in ([one] if one.is_file() else one.rglob("*")) if path.is_file()]
    assert files
    assert not [path.name for path in files if WHO in told(path)]
    assert WHO not in said


def test_everything_that_is_written(home: Path) -> None:
    model = ("--model", home / "models" / "mine", "--steps", "1")
    readers = ("--perceiver", f"trained:{home}/readers/steers", "--judge", f"trained:{home}/readers/scores")
    policy, out = ("--policy", home / "policy.yaml"), home / "out"
    out.mkdir()
    asked = ("a nurse", *policy, *model, *readers, "-n", "2", "--method", "prompt", "--compare-plain")
    said = run("generate", *asked, "--out", out / "run", "--ledger", out / "l.sqlite", "--json")
    assert json.loads(said)["model"] == "mine"
    check(out / "run", out / "l.sqlite", said=said)

    said = run("audit", out / "run", "--out", out / "audit", "--json", "--human-labels", labels(out / "run"))
    check(out / "audit", said=said)
    pictures = out / "pictures"
    (pictures / "a nurse").mkdir(parents=True)
    for k, path in enumerate(sorted((out / "run").glob("*-0*.png"))):
        with Image.open(path) as image:
            Image.new("RGB", image.size, (50 * k, 9, 9)).save(pictures / "a nurse" / f"{k}.png")
    (pictures / "a nurse" / "broken.png").write_bytes(b"x")
    (pictures / "a nurse" / "barred.png").symlink_to(home / "nowhere.png")
    by = ("--perceiver", f"trained:{home}/readers/scores")
    said = run("audit", pictures, *by, "--out", out / "folder", "--json", "--reference", f"{out}/audit:plain")
    check(out / "folder", said=said)
    said = run(
        "report", out / "audit", out / "folder", out / "run", "--out", out / "report.html", "--tables", out / "t"
    )
    check(out / "report.html", out / "t")
    check(out / "report.html", said=run("report", out / "audit", out / "run", "--json"))

    moved = (*policy, *model, *readers, "--prompt", "a nurse", "--json")
    (out / "flat").mkdir()
    for k in range(2):
        Image.new("RGB", (16, 16), (90 * k, 9, 9)).save(out / "flat" / f"{k}.png")
    check(out / "flat", said=run("rebalance", out / "flat", "--out", out / "rebalanced", *moved))
    check(out / "rebalanced")


@pytest.mark.usefixtures("short_descent")
def test_comparisons_and_suites(home: Path, tmp_path: Path) -> None:
    out = home / "more"
    out.mkdir()
    model = ("--model", home / "models" / "mine", "--steps", "1")
    readers = ("--perceiver", f"trained:{home}/readers/steers", "--judge", f"trained:{home}/readers/scores")
    (out / "prompts.txt").write_text("a nurse\n")
    asked = ("--policy", home / "policy.yaml", "--prompts", out / "prompts.txt", "-n", "2", *model, *readers)
    check(out / "prompts.txt", said=run("compare", *asked, "--methods", "prompt,latents", "--out", out / "c", "--json"))
    check(out / "c")
    (out / "jobs.yaml").write_text("[nurse]\n")
    suite = ("--suite", out / "jobs.yaml", "--images", "2", *model, *readers)
    said = run("audit-suite", *suite, "--work", out / "work", "--out", out / "study", "--json")
    check(out / "work", out / "study", said=said)


def labels(folder: Path) -> Path:
    """A table of people's labels of the images of a run."""
    table = folder.parent / "labels.csv"
    rows = [f"{path.name},gender,{GROUPS[k % 2]}" for k, path in enumerate(sorted(folder.glob("*-0*.png")))]
    table.write_text("\n".join(["file,attribute,label", *rows]) + "\n")
    return table
