"""A comparison end to end on a small random model: its numbers from its Parquet, what resumes, what is refused."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import binom
from stub_readers import GROUPS, StubReader, stub_pipeline

from fair_diffusion.compare import PLAIN, WAYS, Comparison, Drawing, Outcome, Reference, Way, compare, outcomes, write
from fair_diffusion.compare.drawn import SHOWN, Drawn, image_rows, load
from fair_diffusion.compare.measure import Ask, lots
from fair_diffusion.compare.outcome import _differences
from fair_diffusion.methods import Method
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.policy import Policy, match
from fair_diffusion.statistics.kid import kid

N = 5
PROMPTS = ["a nurse", "a singer", "a cook"]
INSTRUCTIONS = {
    "half women": Policy.from_sentence("every occupation: 50% woman, 50% man"),
    "tones": Policy.from_sentence("every occupation: skin tone uniform"),
}
NAMES = ("plain", "prompt", "semantic-coin", "switch", "rejection")
DRAWING = Drawing(n=N, steps=2, batch_size=5)


@pytest.fixture(scope="module")
def pipe(tiny_sd: Any) -> FairPipeline:
    return stub_pipeline(tiny_sd)


@pytest.fixture(scope="module")
def found(pipe: FairPipeline, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("comparison")
    return compare(pipe, [WAYS[name] for name in NAMES], PROMPTS, INSTRUCTIONS, folder, drawing=DRAWING)


@pytest.fixture(scope="module")
def table(found: Comparison) -> list[Outcome]:
    made = outcomes(found)
    write(found, made)
    return made


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    return rows


@pytest.mark.parametrize(("instruction", "attribute"), [("half women", "gender"), ("tones", "skin_tone")])
@pytest.mark.parametrize("way", NAMES)
def test_the_table_follows_from_the_images(
    way: str, instruction: str, attribute: str, found: Comparison, table: list[Outcome]
) -> None:
    """Every figure, from the rows of the images by the definitions in words."""
    asked = {"gender": {"woman": 0.5, "man": 0.5}, "skin_tone": dict.fromkeys(GROUPS["skin_tone"], 0.2)}[attribute]
    target = np.array([asked.get(group, 0.0) for group in GROUPS[attribute]])
    images = [row for row in rows_of(found.folder, "images.parquet") if row["instruction"] == instruction]
    own = [row for row in images if row["way"] == way]
    plain = [row for row in images if row["way"] == "plain"]
    (line,) = [
        row
        for row in rows_of(found.folder, "table.parquet")
        if (row["instruction"], row["attribute"], row["way"]) == (instruction, attribute, way)
    ]
    for role, reader in (("judge", "judged"), ("perceiver", "perceived")):
        far, kls, fds, pairs, ratios = [], [], [], [], []
        for prompt in PROMPTS:
            labels = [row[f"{reader}.{attribute}"] for row in own if row["prompt"] == prompt]
            assert len(labels) == N
            counts = np.array([labels.count(group) for group in GROUPS[attribute]])
            far.append((np.abs(counts / N - target).sum() + labels.count(None) / N) / 2)
            if not counts.sum():
                continue
            share = counts / counts.sum()
            with np.errstate(divide="ignore", invalid="ignore"):
                kls.append(np.where(share > 0, share * np.log(share / target), 0).sum())
            fds.append(np.sqrt(((share - target) ** 2).sum()))
            played = share[target > 0] / share[target > 0].sum() if share[target > 0].sum() else share
            k = len(played)
            pairs.append(np.mean([abs(played[i] - played[j]) for i in range(k) for j in range(i)]))
            ratios.append(np.abs(played - 1 / k).max() * k / (k - 1))
        assert line[f"{role}_tv_mean"] == pytest.approx(np.mean(far))
        assert line[f"{role}_tv_worst"] == pytest.approx(max(far))
        assert line[f"{role}_tv_low"] is line[f"{role}_tv_high"] is line[f"{role}_process_low"] is None  # two prompts
        assert line[f"{role}_kl_mean"] == pytest.approx(np.mean(kls))
        assert line[f"{role}_fd_mean"] == pytest.approx(np.mean(fds))
        assert line[f"{role}_pairwise_bias_mean"] == pytest.approx(np.mean(pairs))
        assert line[f"{role}_deviation_ratio_mean"] == pytest.approx(np.mean(ratios))
    assert line["judge_unknown"] == sum(row[f"judged.{attribute}"] is None for row in own)
    kept = []
    for prompt in PROMPTS:
        usual = Counter(row["judged.occupation"] for row in plain if row["prompt"] == prompt)
        del usual[None]
        most = usual.most_common(1)[0][0]
        kept.append(np.mean([row["judged.occupation"] == most for row in own if row["prompt"] == prompt]))
    assert line["fidelity"] == pytest.approx(np.mean(kept))
    assert line["ratio"] == pytest.approx(
        sum(row["evaluations"] for row in own) / sum(row["evaluations"] for row in plain)
    )
    times = [
        sum(row["seconds"] for row in own if row["prompt"] == prompt)
        / sum(row["seconds"] for row in plain if row["prompt"] == prompt)
        for prompt in PROMPTS
    ]
    assert line["seconds_ratio"] == pytest.approx(np.median(times))
    assert line["seconds"] == pytest.approx(np.mean([row["seconds"] for row in own]))
    assert line["memory"] == max(row["memory"] for row in own) > 2**20
    for share_of, column in (("steered", "steered"), ("repaired", "repairs")):
        assert line[share_of] == pytest.approx(np.mean([row[column] > 0 for row in own]))
    looked = [row["missed"] for row in own if row["missed"] is not None]
    assert bool(looked) == (way in ("switch", "rejection"))
    assert line["missed"] == (pytest.approx(np.mean(looked)) if looked else None)
    for distance in ("pixels", "features"):
        known = [row[distance] for row in own if row[distance] is not None]
        assert line[distance] == (pytest.approx(np.mean(known)) if known else None)
        assert (not known or line[distance] < 1e-9) == (way in ("plain", "rejection"))
    twins = {(row["prompt"], row["seed"]) for row in plain}
    strangers = [(row["prompt"], row["seed"]) not in twins for row in own]
    assert [row["pixels"] is None for row in own] == strangers
    assert line["without_twin"] == pytest.approx(np.mean(strangers))


def test_what_a_perfect_coin_would_score_is_that_of_the_groups_asked_for(table: list[Outcome]) -> None:
    """½ Σ E|X/5 − share| with X binomial, over the groups asked for; the difference of two shares is twice as far."""
    floors = {line.attribute: line.floors for line in table}
    for attribute, groups in (("gender", 2), ("skin_tone", 5)):
        away = sum(abs(k / N - 1 / groups) * binom.pmf(k, N, 1 / groups) for k in range(N + 1))
        assert floors[attribute]["total_variation"] == pytest.approx(groups * away / 2)
    assert floors["gender"]["pairwise_bias"] == pytest.approx(2 * floors["gender"]["total_variation"], rel=0.02)


def test_ways_do_what_their_names_say(found: Comparison) -> None:
    rows = rows_of(found.folder, "images.parquet")
    for instruction, attribute in (("half women", "gender"), ("tones", "skin_tone")):
        by_way = {way: [r for r in rows if r["way"] == way and r["instruction"] == instruction] for way in NAMES}
        assert not any(row["steered"] for row in by_way["plain"])
        assert all(row["steered"] for row in by_way["semantic-coin"])
        assert {row[f"assigned.{attribute}"] for row in by_way["plain"]} == {None}
        for prompt in PROMPTS:
            dealt = Counter(r[f"assigned.{attribute}"] for r in by_way["prompt"] if r["prompt"] == prompt)
            assert max(dealt.values()) - min(dealt.values()) <= (1 if attribute == "gender" else 0)
    seeds: dict[tuple[str, str], list[int]] = {(row["way"], row["prompt"]): [] for row in rows}
    for row in rows:
        if row["way"] != "switch" and row["instruction"] == "tones":
            seeds[row["way"], row["prompt"]].append(row["seed"])
    for k, prompt in enumerate(PROMPTS):
        for way in NAMES[:3]:
            assert seeds[way, prompt] == [1_000_000 * k + i for i in range(N)]


def test_kernel_distance_is_to_the_plain_images_or_to_a_reference(found: Comparison, table: list[Outcome]) -> None:
    distances = {line.way: line.facts.kid for line in table if line.attribute == "gender" and line.facts}
    assert distances["plain"] is None
    vectors = {
        name: np.concatenate(
            [cell.vectors for _, cell in found.cells(WAYS[name], "half women") if cell.vectors is not None]
        )
        for name in NAMES
    }
    assert distances["prompt"] == kid(vectors["prompt"], vectors["plain"]).value
    against = outcomes(found, Reference("drawings", vectors["switch"]))
    by_way = {line.way: line.facts.kid for line in against if line.attribute == "gender" and line.facts}
    assert by_way["plain"] == kid(vectors["plain"], vectors["switch"]).value


def test_plain_images_are_drawn_once_for_all_instructions(found: Comparison) -> None:
    cells = sorted(path.name for path in (found.folder / "cells").iterdir())
    assert sum(name.startswith("plain-") for name in cells) == len(PROMPTS)
    assert len(cells) == len(PROMPTS) * (1 + 2 * (len(NAMES) - 1))
    plain, switch = (load(found.path(WAYS[name], found.asks[0]), pictures=True) for name in ("plain", "switch"))
    assert len(plain.pictures) == len(switch.pictures) == min(N, SHOWN)


def test_what_is_there_is_not_drawn_again(
    pipe: FairPipeline, found: Comparison, table: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("drawn again")

    monkeypatch.setattr(pipe, "run", never)
    monkeypatch.setattr(pipe, "backbone", pipe.backbone)
    ways = [WAYS[name] for name in ("switch", "prompt")]
    again = compare(pipe, ways, PROMPTS[:2], INSTRUCTIONS, found.folder, drawing=DRAWING)
    assert [way.name for way in again.ways] == ["plain", "switch", "prompt"]
    own = {(line.instruction, line.way): line for line in outcomes(again)}
    assert own["tones", "prompt"].judge is not None
    assert own["tones", "prompt"].judge.concepts == 2


def test_an_interrupt_keeps_what_is_finished(pipe: FairPipeline, tmp_path: Path, found: Comparison) -> None:
    """Interrupted in the middle of the fourth cell, then gone on with: the same images as in one go."""
    ways = [WAYS["prompt"], WAYS["semantic-coin"]]

    def interrupt(done: int, whole: int | None) -> None:
        assert whole == 2 * 3 * N
        if done > 3 * N:
            raise KeyboardInterrupt

    halves = {"half women": INSTRUCTIONS["half women"]}
    with pytest.raises(KeyboardInterrupt):
        compare(pipe, ways, PROMPTS[:2], halves, tmp_path / "c", drawing=DRAWING, progress=interrupt)
    kept = sorted((tmp_path / "c" / "cells").iterdir())
    assert len(kept) == 3
    assert all(path.suffix == ".parquet" for path in kept)
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    again = compare(pipe, ways, PROMPTS[:2], halves, tmp_path / "c", drawing=DRAWING)
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps
    for way in again.ways:
        for ask in again.asks:
            cell = load(again.path(way, ask), pictures=True)
            assert cell.pictures == load(found.path(way, ask), pictures=True).pictures


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drawing": Drawing(n=N + 1, steps=2, batch_size=5)}, "with n 5, not 6"),
        ({"drawing": Drawing(n=N, steps=3, batch_size=5)}, "with steps 2, not 3"),
        ({"drawing": Drawing(n=N, steps=2, batch_size=5, guidance=3.0)}, "with guidance 7.5, not 3.0"),
        ({"drawing": replace(DRAWING, negative_prompt="old")}, "with negative_prompt None, not 'old'"),
        ({"drawing": replace(DRAWING, guidance_rescale=0.5)}, "with guidance_rescale None, not 0.5"),
        ({"drawing": replace(DRAWING, size="32x32")}, "with size None, not '32x32'"),
        ({"drawing": replace(DRAWING, repair_budget=0.0)}, "with repair_budget None, not 0.0"),
        ({"seed": 1}, "with seed 0, not 1"),
    ],
)
def test_other_settings_are_refused(pipe: FairPipeline, found: Comparison, change: dict[str, Any], said: str) -> None:
    before = sorted((found.folder / "cells").iterdir())
    with pytest.raises(ValueError, match=said):
        compare(pipe, [PLAIN], PROMPTS, INSTRUCTIONS, found.folder, **({"drawing": DRAWING} | change))
    assert sorted((found.folder / "cells").iterdir()) == before


def test_how_to_draw_reaches_the_request_and_the_folder() -> None:
    drawing = Drawing(n=N, negative_prompt="old", guidance_rescale=0.5, repair_budget=0.0, size="64x32", hold="none")
    policy = INSTRUCTIONS["half women"]
    ask = Ask(instruction="i", policy=policy, prompt=PROMPTS[0], matched=match(policy, PROMPTS[0]), seed=3)
    request = drawing.request(ask, WAYS["switch"])
    assert (request.negative_prompt, request.guidance_rescale, request.repair_budget) == ("old", 0.5, 0.0)
    assert (request.pixels, request.hold_names) == ((64, 32), ())
    assert drawing.request(ask, WAYS["rejection"]).repair_budget == 9.0  # its own
    assert drawing.settings == vars(drawing)
    assert Drawing(n=N).settings == {"n": N, "steps": 25, "guidance": None, "batch_size": 8}  # as older folders have it


def test_other_weights_and_versions_are_refused(pipe: FairPipeline, tmp_path: Path) -> None:
    compare(pipe, [PLAIN], PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    file = tmp_path / "c" / "settings.json"
    settings = json.loads(file.read_text())
    others: dict[str, Any] = {"weights": "others", "versions": {"torch": "1"}, "dtype": "float16", "device": "cuda"}
    for name, other in others.items():
        file.write_text(json.dumps(settings | {name: other}))
        with pytest.raises(ValueError, match=f"was drawn with {name}"):
            compare(pipe, [PLAIN], PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    file.write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        compare(pipe, [PLAIN], PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    file.unlink()
    with pytest.raises(ValueError, match="holds no comparison"):
        compare(pipe, [PLAIN], PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)


def test_a_group_of_the_judges_own_is_unknown_and_lost_to_nobody(tiny_sd: Any, tmp_path: Path) -> None:
    """The images that a judge reads as a group that we do not know stay in n, here as in a request's audit."""

    class Stranger(StubReader):
        def read(self, images: Any) -> Any:
            found = super().read(images)
            return found | {"gender": [Reading(("woman", "martian")[k % 2], 1.0) for k in range(len(images))]}

    pipe = stub_pipeline(tiny_sd)
    pipe.judge = Stranger(0)
    asked = {"half women": INSTRUCTIONS["half women"]}
    found = compare(pipe, [PLAIN], PROMPTS[:1], asked, tmp_path / "c", drawing=DRAWING)
    (line,) = outcomes(found)
    assert line.judge is not None
    assert (line.judge.n, line.judge.unknown) == (5, 2)
    assert line.judge.tv_mean == pytest.approx((abs(3 / 5 - 0.5) + 0.5 + 2 / 5) / 2)
    rows = pipe(PROMPTS[0], n=5, steps=2, policy=asked["half women"], method="prompt").audit
    assert {(row.group, row.count, row.unknown) for row in rows} >= {("woman", 3, 2), ("man", 0, 2)}


@pytest.mark.parametrize("role", ["judge", "perceiver"])
def test_other_readers_are_refused(tiny_sd: Any, found: Comparison, role: str) -> None:
    """What lies there was read by others: their labels are not mixed."""
    other = stub_pipeline(tiny_sd)
    setattr(other, role, StubReader(3))
    with pytest.raises(ValueError, match=f"was drawn with {role} 'StubReader, sha256 "):
        compare(other, [PLAIN], PROMPTS, INSTRUCTIONS, found.folder, drawing=DRAWING)


@pytest.mark.parametrize(
    ("prompts", "instructions", "said"),
    [
        ([], INSTRUCTIONS, "there is no prompt"),
        (PROMPTS, {}, "there is no instruction"),
        ([PROMPTS[0], PROMPTS[0]], INSTRUCTIONS, "comes twice"),
        (["a table"], INSTRUCTIONS, "'half women' asks nothing of 'a table'"),
        ([*PROMPTS, " "], INSTRUCTIONS, "empty"),
        (["a nurse"], {"age": Policy.from_sentence("nurse: age uniform")}, "cannot read 'age'"),
    ],
)
def test_wrong_arguments(
    pipe: FairPipeline, tmp_path: Path, prompts: list[str], instructions: dict[str, Policy], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        compare(pipe, [PLAIN], prompts, instructions, tmp_path / "c", drawing=DRAWING)
    assert not (tmp_path / "c").exists()


def test_a_way_that_fails_is_a_line_that_says_why(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any, __: Path) -> AbstractContextManager[None]:
        raise RuntimeError("no such layer\nin this model")

    monkeypatch.setattr("fair_diffusion.control.loop.edited", broken)
    save_file({"conv_out.bias": torch.zeros(4)}, tmp_path / "w")
    edit = Way(name="edited", method="edit", options={"file": tmp_path / "w"})
    ways = [Way(name="unheard", method=Method(name="of", does="nothing")), edit, WAYS["prompt"]]
    found = compare(pipe, ways, PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    made = outcomes(found)
    failed = {(line.instruction, line.way): line.failed for line in made}
    assert failed["tones", "edited"] == "'a nurse': RuntimeError: no such layer"
    assert "method 'of' defines no 'guide'" in str(failed["half women", "unheard"])
    assert failed["tones", "prompt"] is failed["tones", "plain"] is None
    page = write(found, made).read_text(encoding="utf-8")
    assert "not measured: &#39;a nurse&#39;: RuntimeError: no such layer" in page
    stored = [row for row in rows_of(tmp_path / "c", "table.parquet") if row["way"] == "edited"]
    assert len(stored) == 2
    assert {row["judge_tv_mean"] for row in stored} == {None}


def test_a_plain_model_that_fails_is_an_error(
    pipe: FairPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no memory")

    monkeypatch.setattr(pipe, "run", fails)
    with pytest.raises(RuntimeError, match="no memory"):
        compare(pipe, [WAYS["prompt"]], PROMPTS, INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    assert not (tmp_path / "c").exists()


def test_edited_weights_act_on_their_own_images_only(pipe: FairPipeline, tmp_path: Path, found: Comparison) -> None:
    """They change what they draw, cost no more, and the ways after them draw as without."""
    file, bias = tmp_path / "w", pipe.backbone.pipeline.unet.conv_out.bias.detach()
    save_file({"conv_out.bias": bias + 0.5}, file)
    options = {"file": file}
    edited = Way(name="edited", method="edit", options=options, training_steps=7, training_seconds=1.5)
    ways = [edited, WAYS["prompt"]]
    own = compare(pipe, ways, PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    ask = own.asks[0]
    pictures = {way.name: load(own.path(way, ask), pictures=True).pictures for way in own.ways}
    assert pictures["edited"] != pictures["plain"]
    assert pictures["prompt"] == load(found.path(WAYS["prompt"], ask), pictures=True).pictures
    line = next(line for line in outcomes(own) if line.way == "edited")
    assert line.facts is not None
    assert (line.facts.training_steps, line.facts.training_seconds, line.facts.ratio) == (7, 1.5, 1.0)
    assert line.facts.steered == 1
    before = own.path(edited, ask)
    save_file({"conv_out.bias": bias - 0.5}, file)
    assert own.path(replace(edited), ask) != before


def test_what_is_learnt_on_the_way_is_learnt_once_and_counted_as_training(tiny_sd: Any, tmp_path: Path) -> None:
    pipe = stub_pipeline(tiny_sd)
    asked = {"half women": INSTRUCTIONS["half women"]}
    found = compare(pipe, [WAYS["embedding"]], PROMPTS[:2], asked, tmp_path / "c", drawing=DRAWING)
    ((_, cost),) = pipe.projections.values()
    assert cost.seconds
    plain, line = outcomes(found)
    assert plain.facts is not None
    assert line.facts is not None
    assert (plain.facts.training_seconds, line.facts.training_seconds) == (0, cost.seconds)


def test_a_damaged_cell_is_named(pipe: FairPipeline, tmp_path: Path) -> None:
    found = compare(pipe, [PLAIN], PROMPTS[:1], INSTRUCTIONS, tmp_path / "c", drawing=DRAWING)
    path = found.path(PLAIN, found.asks[0])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"{path.name} is damaged .*delete it"):
        outcomes(found)


def test_a_coin_draws_independently_for_every_prompt() -> None:
    """Counts are binomial: mean n/2 and variance n/4, within five standard errors."""
    policy, prompt = INSTRUCTIONS["half women"], PROMPTS[0]
    matched = match(policy, prompt)

    def women(seed: int) -> int:
        ask = Ask(instruction="i", policy=policy, prompt=prompt, matched=matched, seed=seed)
        (counts,) = lots(ask, 20)
        assert sum(counts) == 20
        return counts[0]

    counts = [women(1_000_000 * k) for k in range(2000)]
    assert abs(np.mean(counts) - 10) < 5 * np.sqrt(5 / 2000)
    assert abs(np.var(counts) - 5) < 5 * np.sqrt(2 * 25 / 2000)
    assert women(7) == women(7)


def test_ways_are_told_apart_by_their_differences_over_the_same_prompts(found: Comparison) -> None:
    """Ten prompts of made-up readings: the plain images show men alone, one way half women, the other as good as it."""
    rng = np.random.default_rng(0)
    shares = {"plain": 0.0, "near": 0.5, "as near": 0.5}
    ask = found.asks[0]
    drawn = []
    for name, share in shares.items():
        cells = []
        for k in range(12):
            labels = rng.permutation(["woman", "man"] * 10).tolist() if share else ["man"] * 20
            labels = [str(rng.choice(["woman", "man"])) for _ in labels] if name == "as near" else labels
            rows = image_rows([{"index": i, "judged.gender": label} for i, label in enumerate(labels)])
            cell = Drawn(images=rows, vectors=None, pictures=[], seconds=1.0, memory=1, notes=[])
            cells.append((replace(ask, prompt=f"prompt {k}"), cell))
        drawn.append((Way(name=name), cells))
    told = _differences(drawn, "gender")
    assert told["near"].keys() == {"from_plain", "from_plain_low", "from_plain_high"}  # it is the nearest
    assert told["near"]["from_plain"] == -0.5
    # All prompts differ alike, and as far as can be; a part of those that were not drawn may turn it over.
    unseen = 1 - 0.05 ** (1 / 12)
    ends = (told["near"]["from_plain_low"], told["near"]["from_plain_high"])
    assert ends == pytest.approx((-0.5, -0.5 + unseen * (0.5 + 0.5)))
    gap, low, high = (told["as near"][f"from_nearest{end}"] for end in ("", "_low", "_high"))
    assert gap is not None
    assert low is not None
    assert high is not None
    assert low == pytest.approx(gap - unseen * (0.5 + gap))
    assert low < 0 < gap < high  # 12 prompts do not tell these apart
    assert told["as near"]["from_plain"] == pytest.approx(gap - 0.5)


HAIR = """version: 1
attributes:
  hair:
    label: kind of hair
    note: As <two> raters see it.
    groups: {white-haired: {}, curly-haired: {}}
rules:
- every: occupation
  targets: {hair: uniform, gender: uniform}
"""


class HairReader(StubReader):
    """A reader of an attribute of one's own too."""

    def __init__(self, salt: int) -> None:
        super().__init__(salt)
        self.groups = {**self.groups, "hair": ("white-haired", "curly-haired")}


def test_a_definition_of_ones_own_is_told_and_another_one_is_drawn_anew(tiny_sd: Any, tmp_path: Path) -> None:
    pipe = FairPipeline(tiny_sd, name="tiny", weights="none", judge=HairReader(0), perceiver=HairReader(9))
    ways, drawing = [WAYS["prompt"]], Drawing(n=4, steps=1, batch_size=4)
    mine = Policy.from_yaml(HAIR)
    compare(pipe, [], PROMPTS[:1], {"hair": mine}, tmp_path, drawing=drawing)
    found = compare(pipe, ways, PROMPTS[:1], {"hair": mine}, tmp_path, drawing=drawing)
    table = outcomes(found)
    page = write(found, table).read_text()
    digest = mine.attributes.own["hair"]
    assert f"hash {digest}; white-haired, curly-haired. As &lt;two&gt; raters see it." in page
    rows = {(row["attribute"], row["way"]): row for row in rows_of(tmp_path, "table.parquet")}
    assert {row["definitions"] for (name, _), row in rows.items() if name == "hair"} == {f"hair as {digest}"}
    assert {row["definitions"] for (name, _), row in rows.items() if name == "gender"} == {None}
    for way in ("plain", "prompt"):
        labels = [row["judged.hair"] for row in rows_of(tmp_path, "images.parquet") if row["way"] == way]
        away = abs(labels.count("white-haired") / 4 - 0.5) + abs(labels.count("curly-haired") / 4 - 0.5)
        assert rows["hair", way]["judge_tv_mean"] == pytest.approx((away + labels.count(None) / 4) / 2)
    changed = (
        ("As <two>", "As three", 0),  # a note changes no image
        ("white-haired: {}", "white-haired: {adjective: silver-haired}", 1),
        ("rules", "hold: []\nrules", 1),
        ("rules", "words: {de: {white-haired: weißhaarige}}\nrules", 1),
    )
    for old, new, more in changed:
        before = len(list((tmp_path / "cells").iterdir()))
        compare(pipe, ways, PROMPTS[:1], {"hair": Policy.from_yaml(HAIR.replace(old, new))}, tmp_path, drawing=drawing)
        assert len(list((tmp_path / "cells").iterdir())) == before + more
