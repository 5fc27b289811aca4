"""`compare`: options, exit codes, one clear line, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stub_readers import stub_pipeline
from typer.testing import CliRunner

from fair_diffusion.cli import app
from fair_diffusion.cli.compare import read_prompts
from fair_diffusion.pipeline import FairPipeline

run = CliRunner()
ASKED = ["--instruct", "every occupation: half women", "--prompts", "a nurse", "--prompts", "a cook", "-n", "2"]


@pytest.fixture
def tiny_model(tiny_sd: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command finds a small random model under any name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FairPipeline, "from_pretrained", lambda _: stub_pipeline(tiny_sd))


@pytest.mark.usefixtures("tiny_model")
def test_a_table_a_page_and_json() -> None:
    arguments = ["compare", *ASKED, "--methods", "prompt,latents", "--steps", "1", "--out", "out"]
    shown = run.invoke(app, arguments)
    assert shown.exit_code == 0, shown.stderr
    assert "latents is not measured: " in shown.stdout
    assert "a perfect coin" in shown.stdout
    tables = [line for line in shown.stdout.splitlines() if not line.startswith(("“", "latents", "see"))]
    assert max(map(len, tables)) <= 80
    assert "…" not in shown.stdout
    heads = " ".join(line for line in tables if "way" in line or "judge" in line)
    assert "pairwise" not in shown.stdout
    assert "cost" in heads
    everything = run.invoke(app, [*arguments, "--verbose"])
    tables = [line for line in everything.stdout.splitlines() if not line.startswith(("“", "latents", "see"))]
    assert max(map(len, tables)) <= 80
    assert "pairwise" in everything.stdout
    assert "25.0\u00a0%" in everything.stdout
    assert {path.name for path in Path("out").iterdir()} >= {"compare.html", "table.parquet", "images.parquet"}
    again = run.invoke(app, [*arguments, "--json"])
    # a group that was not to appear makes KL infinite, which JSON cannot say
    parsed = [json.loads(line, parse_constant=pytest.fail) for line in again.stdout.splitlines()]
    rows = {row["way"]: row for row in parsed}
    assert rows["plain"]["judge_kl_mean"] is None
    assert list(rows) == ["plain", "prompt", "latents"]
    assert rows["plain"]["judge_concepts"] == 2
    assert rows["latents"]["judge_tv_mean"] is None
    assert f"{rows['prompt']['judge_tv_mean']:.3f}" in shown.stdout
    for changed, said in (
        (["--seed", "5"], "was drawn with seed 0, not 5"),
        (["--batch-size", "1"], "was drawn with batch_size 8, not 1"),
        (["--negative-prompt", "old"], "was drawn with negative_prompt None, not 'old'"),
        (["--guidance-rescale", "0.5"], "was drawn with guidance_rescale None, not 0.5"),
        (["--repair-budget", "0"], "was drawn with repair_budget None, not 0"),
    ):
        other = run.invoke(app, [*arguments, *changed])
        assert other.exit_code == 2
        assert said in other.stderr
    usual = ["--batch-size", "8", "--guidance-rescale", "0", "--repair-budget", "0.25"]
    assert run.invoke(app, [*arguments, *usual]).exit_code == 0


@pytest.mark.usefixtures("tiny_model")
def test_an_interrupt_is_exit_code_130_and_the_same_command_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["compare", *ASKED, "--methods", "prompt", "--steps", "1", "--out", "out"]
    run_all, calls = FairPipeline.run, []

    def interrupted(self: FairPipeline, *given: Any, **more: Any) -> Any:
        for found in run_all(self, *given, **more):
            calls.append(1)
            if len(calls) > 2:
                raise KeyboardInterrupt
            yield found

    with monkeypatch.context() as patched:
        patched.setattr(FairPipeline, "run", interrupted)
        stopped = run.invoke(app, arguments)
    assert stopped.exit_code == 130
    assert "the same command goes on" in stopped.stderr
    assert len(list(Path("out/cells").iterdir())) == 2
    assert run.invoke(app, arguments).exit_code == 0
    assert len(list(Path("out/cells").iterdir())) == 4


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompts", "a nurse"], "say what to aim for"),
        (ASKED[:2], "there is no prompt"),
        ([*ASKED, "--methods", "magic"], "unknown method 'magic'"),
        ([*ASKED, "--instruct", "every occupation: half women"], "is given twice"),
        ([*ASKED, "--instruct", "nonsense"], "'nonsense'"),
        ([*ASKED, "--prompts", "a table"], "asks nothing of 'a table'"),
        ([*ASKED, "--prompts", "a nurse"], "comes twice"),
        ([*ASKED, "--reference", "gone"], "gone is not there"),
        ([*ASKED, "--reference", "."], ". holds fewer than 10 images that can be read"),
        ([*ASKED, "--suite", "gone.txt"], "no list of occupations"),
        ([*ASKED, "--suite", "pocket", "--prompt", "a photo"], "mark the place"),
        ([*ASKED, "--policy", "gone.yaml"], "'gone.yaml': cannot read the policy"),
        ([*ASKED, "--seed", "-1"], "seed is -1"),
        ([*ASKED, "--steps", "0"], "steps is 0; use 1 to 1000"),
        ([*ASKED, "--batch-size", "0"], "batch_size is 0; use 1 or more"),
        ([*ASKED, "--guidance-rescale", "2"], "guidance_rescale is 2.0; use 0 to 1"),
        ([*ASKED, "--instruct", ""], "the instruction is empty"),
        ([*ASKED, "--methods", "bottleneck"], "method 'bottleneck' needs a file that was learnt"),
        ([*ASKED, "--methods", "bottleneck=gone"], "'gone' is not there; bottleneck=FILE names a safetensors file"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    found = run.invoke(app, ["compare", *arguments, "--out", "new"])
    assert found.exit_code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert not Path("new").exists()


def test_prompts_come_from_words_files_and_suites(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("# mine\na photo of a nurse\n\n  an artist at work \n", encoding="utf-8")
    assert read_prompts([str(file), "a cook" * 200], None, "") == [
        "a photo of a nurse",
        "an artist at work",
        "a cook" * 200,
    ]
    suite = read_prompts([], "pocket", "a photo of a {}")
    assert len(suite) == 20
    assert suite[:2] == ["a photo of an artist", "a photo of an astronaut"]
    assert len(read_prompts([], "occupations", "a {}")) > 150
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="UTF-8"):
        read_prompts([str(file)], None, "")


@pytest.mark.usefixtures("tiny_model")
def test_sentences_may_use_definitions_and_a_policy_has_its_own() -> None:
    arguments = ["compare", "--prompts", "a nurse", "--out", "out", "--define", "glasses"]
    unread = run.invoke(app, [*arguments, "--instruct", "nurse: glasses 30%"])
    assert unread.exit_code == 2
    assert "cannot read 'glasses'" in unread.stderr
    Path("p.yaml").write_text("version: 1\nrules:\n- concepts: [nurse]\n  targets: {gender: uniform}\n")
    alone = run.invoke(app, [*arguments, "--policy", "p.yaml"])
    assert alone.exit_code == 2
    assert "define the attributes in the policy" in alone.stderr
    assert not Path("out").exists()
