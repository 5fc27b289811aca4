"""The command line: exit codes, one clear line, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fair_diffusion.backbones import StepInfo
from fair_diffusion.cli import app
from fair_diffusion.policy import Losing, Match, Policy, Stated

run = CliRunner()


def test_explain_prints_quotas() -> None:
    found = run.invoke(app, ["explain", "a doctor", "--instruct", "doctor: half women", "-n", "7", "--json"])
    assert found.exit_code == 0
    target = json.loads(found.stdout)["targets"][0]
    assert sum(target["quotas"].values()) == 7
    assert target["note"]


def test_explain_takes_definitions_for_a_sentence() -> None:
    words = ["explain", "a nurse", "--instruct", "nurse: glasses 30%", "-n", "10"]
    found = run.invoke(app, [*words, "--define", "glasses", "--json"])
    assert found.exit_code == 0
    (target,) = json.loads(found.stdout)["targets"]
    assert target["quotas"] == {"glasses": 3, "no glasses": 7}
    refused = run.invoke(app, words)
    assert refused.exit_code == 2
    assert "--define glasses" in refused.stderr
    both = run.invoke(app, ["explain", "a nurse", "--policy", "docs/policy.yaml", "--define", "glasses"])
    assert "define the attributes in the policy" in both.stderr


def test_explain_without_rules_says_so_and_what_a_rule_would_be_about() -> None:
    for prompt, said in (("a doctor", "would fire for 'doctor'"), ("a bowl of fruit", "none would fire")):
        found = run.invoke(app, ["explain", prompt])
        assert found.exit_code == 0
        assert "no rule is given" in found.stdout
        assert said in found.stdout


def test_explain_names_fixed_phrases() -> None:
    words = ["explain", "a nurse shark in the sea", "--instruct", "nurse: half men"]
    assert "'nurse shark' means no person" in run.invoke(app, words).stdout
    assert json.loads(run.invoke(app, [*words, "--json"]).stdout)["fixed"] == ["nurse shark"]


def test_explain_tells_all_that_a_match_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy.from_sentence("doctor: half women; nurse: half men")
    found = Match(
        policy.rules[0],
        policy.rules[0].targets,
        "docter",
        "exact",
        1.0,
        "rule 'doctor' fires for 'docter'",
        losing=(Losing(policy.rules[1], "nurse", "the model draws one figure"),),
        unsure="'smith' may be a name",
        stated=(Stated("gender", "old woman", "woman"),),
        nearest=("surgeon", 0.5),
        read_as=(("docter", "doctor"),),
    )
    monkeypatch.setattr(import_module("fair_diffusion.cli.explain"), "match", lambda policy, prompt, last: found)
    words = ["explain", "x", "--instruct", "doctor: half women"]
    told = run.invoke(app, words).stdout
    for said in (
        "read 'docter' as 'doctor'",
        "'smith' may be a name",
        "'old woman', of 'woman'",
        "the model draws one",
    ):
        assert said in told
    plain = json.loads(run.invoke(app, [*words, "--json"]).stdout)
    assert plain["losing"] == [{"rule": "nurse", "concept": "nurse", "why": "the model draws one figure"}]
    assert plain["stated"] == [{"attribute": "gender", "words": "old woman", "whose": "woman"}]
    assert plain["unsure"] == "'smith' may be a name"
    assert plain["nearest"] == {"concept": "surgeon", "score": 0.5}
    assert plain["read_as"] == {"docter": "doctor"}


def test_explain_says_in_which_language_the_words_for_groups_are(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules: [{every: occupation, targets: {gender: uniform}}]\n")
    words = ["explain", "一位医生在医院里的照片", "--policy", str(policy)]
    assert "words: {zh: {man: …, woman: …}}" in run.invoke(app, words).stdout
    with policy.open("a", encoding="utf-8") as file:
        file.write("words: {zh: {woman: 女, man: 男}}\n")
    assert "the policy's words" in run.invoke(app, words).stdout
    assert json.loads(run.invoke(app, [*words, "--json"]).stdout)["language"] == "zh"


def test_warnings_are_told_once_on_standard_error() -> None:
    found = run.invoke(app, ["explain", "a doctor", "--instruct", "doctor: 50/50"])
    assert found.stderr == "warning: read '50/50' as half women, half men\n"
    found = run.invoke(app, ["explain", "a doctor", "--instruct", "doctor: 50/50", "--json"])
    assert json.loads(found.stdout)["warnings"] == ["read '50/50' as half women, half men"]


@pytest.mark.parametrize("prompt", ["a photo of a doctor", "a photo of a nurse", "a bowl of fruit"])
def test_explain_loads_neither_models_nor_numbers(prompt: str) -> None:
    code = (
        "import sys; from fair_diffusion.cli import app; app(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    )
    words = ["explain", prompt, "--instruct", "doctor: half women"]
    loaded = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "diffusers", "transformers", "scipy", "pandas", "matplotlib", "numpy", "rich"):
        assert name not in loaded.split(), name


DOCTOR = ["generate", "a doctor", "--out", "new"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", " "], "the prompt is empty; say what to draw"),
        (["explain", "x" * 40_000], "the prompt has 40000 characters; shorten it to 32000"),
        (
            ["explain", "a doctor", "--instruct", "doctor: 90% women, 90% men"],
            "shares sum to 180 %; make them sum to 100",
        ),
        (["explain", "a doctor", "--policy", "missing.yaml"], "'missing.yaml': cannot read the policy"),
        (["explain", "a doctor", "--seed", "-1"], "seed is -1; use 0 to "),
        (["explain", "a doctor", "--methd", "x"], "No such option: --methd"),
        ([*DOCTOR, "-n", "0"], "n is 0; ask for 1 to 10000 images"),
        ([*DOCTOR, "-n", "1000000000"], "n is 1000000000; ask for 1 to 10000 images"),
        ([*DOCTOR, "--batch-size", "0"], "batch_size is 0; use 1 or more"),
        ([*DOCTOR, "--steps", "0"], "steps is 0; use 1 to 1000"),
        ([*DOCTOR, "--repair-budget", "-1"], "repair_budget is -1.0; use 0 to 100"),
        ([*DOCTOR, "--method", "magic"], "unknown method 'magic'; use one of prompt, hint"),
        ([*DOCTOR, "--control", "magic"], "unknown control 'magic'; use one of natural-first, all"),
        ([*DOCTOR, "--method", "latents", "--loss", "magic"], "unknown loss 'magic'; use one of assigned, mean"),
        ([*DOCTOR, "--loss", "mean"], "loss is 'mean', which method 'switch' does not use; use latents"),
        ([*DOCTOR, "--model", "nothing"], "unknown model 'nothing': there is no such folder or file"),
        (["generate", "a doctor", "--out", "full"], "full is not empty; name a new folder"),
        (["generate", "a doctor", "--out", "full/file/new"], "full/file/new cannot be written (Not a directory)"),
        (["generate", " ", "--out", "new"], "the prompt is empty; say what to draw"),
        ([*DOCTOR, "--instruct", ""], "the instruction is empty; say for which prompts and which share"),
        ([*DOCTOR, "--policy", "broken.yaml"], "line 2: 'hair': unknown attribute; use one of: gender, skin_tone, age"),
        (
            [*DOCTOR, "--policy", "broken.yaml", "--instruct", "doctor: half women"],
            "both --instruct and --policy are given; give one",
        ),
        (
            ["generate", "a doctor", "a nurse", "--out", "new", "--instruct", "nurse: half young"],
            "the judge of 'pocket' cannot read 'age'; it reads gender, skin_tone",
        ),
        (["generate", "a doctor \udc80", "--out", "new"], "the prompt holds bytes that are no text; write it as UTF-8"),
        ([*DOCTOR, "--method", "bottleneck"], "method 'bottleneck' needs a file with a vector for each group"),
        ([*DOCTOR, "--method", "hint", "--file", "full/file"], "file is 'full/file', which method 'hint' does not use"),
        ([*DOCTOR, "--method", "edit", "--file", "full/file"], "full/file cannot be read as safetensors"),
        (
            [*DOCTOR, "--method", "bottleneck", "--file", "missing.safetensors"],
            "missing.safetensors does not hold directions of groups",
        ),
        (
            [*DOCTOR, "--method", "distribution", "--file", "missing.safetensors"],
            "missing.safetensors holds no bottleneck heads",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "broken.yaml").write_text(
        "version: 1\nrules: [{name: a, concepts: [doctor], targets: {hair: uniform}}]"
    )
    found = run.invoke(app, arguments)
    assert found.exit_code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "new").exists()


DRAW = [
    "generate",
    "a photo of a [/bold] firefighter",
    "-n",
    "8",
    "--steps",
    "5",
    "--instruct",
    "firefighter: all women",
]


def test_a_missed_target_is_exit_code_3_and_square_brackets_are_text(tmp_path: Path) -> None:
    found = run.invoke(app, [*DRAW, "--method", "none", "--out", str(tmp_path / "new")])
    assert found.exit_code == 3
    assert "[/bold]" in found.stdout
    assert "misses" in found.stdout
    assert len(list((tmp_path / "new").glob("image-*.png"))) == 8


def test_json_holds_what_was_promised(tmp_path: Path) -> None:
    arguments = [*DRAW, "--method", "prompt", "--json", "--compare-plain", "--out", str(tmp_path / "new")]
    found = run.invoke(app, arguments)
    summary = json.loads(found.stdout)
    assert found.exit_code == (3 if summary["verdict"] == "misses" else 0)
    (delivered,) = summary["delivered"]
    assert [(one["quota"], one["count"]) for one in delivered["groups"]] == [
        (row["quota"], row["count"]) for row in summary["audit"]
    ]
    assert summary.keys() >= {"prompt", "n", "model", "method", "seed", "rule", "audit", "deviation", "cost"}
    assert summary["audit"][0].keys() >= {
        *("attribute", "group", "target", "quota", "count", "unknown", "share", "low", "high", "verdict"),
        *("perceiver_count", "perceiver_unknown"),
    }
    assert summary["deviation"].keys() >= {"tv", "noise_floor"}
    assert summary["cost"].keys() >= {"evaluations", "plain_evaluations", "ratio", "seconds"}
    assert json.loads((tmp_path / "new" / "result.json").read_text()) == summary


def test_what_is_learnt_is_kept_beside_the_policy_and_counts_in_the_ledger(tmp_path: Path) -> None:
    policy, ledger = tmp_path / "fair.yaml", tmp_path / "ledger.sqlite"
    rule = "{name: fire, concepts: [firefighter], targets: {gender: {woman: 100%}}}"
    policy.write_text(f"version: 1\nrules: [{rule}]\n")
    draw = ["generate", "a photo of a firefighter", "-n", "2", "--steps", "5", "--policy", str(policy), "--json"]
    found = run.invoke(app, [*draw, "--ledger", str(ledger), "--out", str(tmp_path / "new")])
    assert found.exit_code in (0, 3), found.output
    counts = json.loads(found.stdout)["images"]
    assert counts["untouched"] + counts["steered"] == 2
    (learnt,) = json.loads((tmp_path / "fair.strengths.json").read_text())["strengths"]
    assert learnt["of"] == ["pocket", "switch", "firefighter", "guidance 2", "5 steps", "gender", "woman"]
    assert sum(tried for tried, _ in learnt["attempts"]) >= 2
    rows = json.loads(run.invoke(app, ["ledger", "show", str(ledger), "--json"]).stdout)
    assert "fire" in json.dumps(rows)

    (tmp_path / "fair.strengths.json").write_text("{")
    found = run.invoke(app, [*draw, "--out", str(tmp_path / "newer")])
    assert found.exit_code == 2
    assert "fair.strengths.json does not hold strengths" in found.stderr


@pytest.mark.parametrize("finished", [0, 2])
def test_an_interrupt_is_exit_code_130_and_keeps_finished_images(
    finished: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a record of them; before the first image there is nothing to keep, and the folder is not made."""

    @contextmanager
    def denoising(images: int, steps: int) -> Iterator[Callable[[StepInfo], None]]:
        def stop(info: StepInfo) -> None:
            if finished in info.images:
                raise KeyboardInterrupt

        yield stop

    monkeypatch.setattr(import_module("fair_diffusion.cli.generate"), "denoising", denoising)
    asked = [*DRAW, "--method", "none", "--batch-size", "2", "--out", str(tmp_path / "above" / "new")]
    found = run.invoke(app, asked)
    assert found.exit_code == 130
    if finished:
        told = json.loads((tmp_path / "above" / "new" / "result.json").read_text())
        assert told["requested"] == 8
        assert len(list((tmp_path / "above" / "new").glob("image-*.png"))) == finished
    else:
        assert "no image was finished, so nothing is written" in " ".join(found.stderr.split())
        assert list(tmp_path.iterdir()) == []


def test_the_version_is_told_without_the_model_libraries() -> None:
    assert run.invoke(app, ["--version"]).stdout == "fair-diffusion 0.1.0\n"
    code = "import sys, fair_diffusion as f; assert f.__version__ == '0.1.0'; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    found = run.invoke(app, ["report", str(tmp_path / "\x1b[31mred.csv")])
    assert found.exit_code == 2
    assert "\\x1b[31mred.csv" in found.stderr
    assert "\x1b" not in found.stderr
