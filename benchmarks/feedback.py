"""People's labels close the loop: the proportions as people see them, with 0 to 1,000 labels.

A third reader stands for people (`recipes.pocket.people`): it never steers nor judges. Three perceivers steer. The
right one is the pocket model's own. The wrong one calls a third of short-haired women men, those with dark hair, and
reads a fifth of skin tones one tone off. Few women have short hair here, so it errs little; the worse one calls a third
of all women men, those with the darkest hair, and reads skin tones as the wrong one does. Labels are of images that
were drawn without an instruction, so that nothing chose them by what was read, from other seeds than those that are
measured; which of them are labelled is drawn at random. Target: half women, and even skin tones.

TV is the total variation from the target as people see it, unknown counted against the row: mean over occupations. A
way that does not reach the bar stands beside: quotas shifted by the pooled rates of error, q = θᵀ τ, and nothing else.
Network evaluations, readings and results are kept in work/pocket/feedback, so that a run goes on where it stopped;
remove that folder after a change of the code.

    python -m recipes.pocket.data && python -m recipes.pocket.people      (once)
    python -m benchmarks.feedback [--occupations 20] [--images 100] → a table, and benchmarks/feedback.md
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import Tensor

from benchmarks.feedback_intervals import coverage
from benchmarks.memo import Memo
from fair_diffusion import FairPipeline, Policy, Result
from fair_diffusion.control.planned import Planned
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.perception import early, judge, pocket
from fair_diffusion.perception.calibrating import calibrated
from fair_diffusion.perception.calibration import Calibration
from fair_diffusion.perception.labelled_image import LabelledImage
from fair_diffusion.perception.perceiver import Reading
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.request import Request
from fair_diffusion.statistics.metrics import noise_floor, total_variation
from recipes.pocket.captions import Mix, article
from recipes.pocket.data import WORK, load
from recipes.pocket.people import people

HOME = WORK / "feedback"
STEPS, BATCH = 15, 25
LABELS = (0, 50, 100, 300, 1_000)
POOL = 50
"""Images of each occupation that people may label."""
TARGET = "every: occupation\n  targets: {gender: {woman: 50%, man: 50%}, skin_tone: uniform}"
NAMES = ("gender", "skin_tone")
SHORT, DARK = 0.7, 137.0
"""Below this part of coloured pixels beside the neck a woman's hair counts as short. A third of short-haired women have
darker pixels there (0 to 255) than the second number."""
DARKEST = 90.0
"""A third of all women have darker pixels beside the neck than this."""
ALONE = "quotas alone"


class Wrong:
    """The pocket model's perceiver, made wrong on purpose: always the same of the same picture.

    Args:
        misread: whether it calls a woman a man who looks like this.
    """

    def __init__(self, misread: Callable[[Image.Image], bool]) -> None:
        self._misread = misread
        self._reader = pocket.load()
        self.groups = {name: self._reader.groups[name] for name in NAMES}
        self.confusions = ()

    def every_probability(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Probabilities (n, groups + unknown) for every attribute."""
        found = {name: self._reader.every_probability(images)[name].clone() for name in NAMES}
        woman, man = (self.groups["gender"].index(group) for group in ("woman", "man"))
        darkest = len(self.groups["skin_tone"]) - 1
        for k, image in enumerate(images):
            gender, tone = found["gender"][k], found["skin_tone"][k]
            if int(gender.argmax()) == woman and self._misread(image):
                gender[[woman, man]] = gender[[man, woman]]
            if zlib.crc32(image.tobytes()) < 2**32 / 5 and (read := int(tone.argmax())) <= darkest:
                other = read + 1 if read < darkest else read - 1
                tone[[read, other]] = tone[[other, read]]
        return found

    def read(self, images: Sequence[Image.Image]) -> dict[str, list[Reading]]:
        """The most probable group of every attribute; None if it is unknown or less than even."""
        readings: dict[str, list[Reading]] = {name: [] for name in NAMES}
        for name, table in self.every_probability(images).items() if images else ():
            for confidence, k in zip(*(part.tolist() for part in table.max(dim=1)), strict=True):
                group = (*self.groups[name], None)[k] if confidence >= 0.5 else None
                readings[name].append(Reading(group, confidence))
        return readings


def beside_neck(image: Image.Image) -> tuple[float, float]:
    """The share of coloured pixels on both sides of the neck, and how bright they are, 0 to 255: 0 if there are none.

    So the same look is always misread, as readers do err: it is not enough to draw the image again."""
    pixels = np.asarray(image.convert("RGB").resize((64, 64)), dtype=np.float64)
    beside = np.concatenate([pixels[30:44, 10:22].reshape(-1, 3), pixels[30:44, 42:54].reshape(-1, 3)])
    coloured = beside[beside.min(axis=1) < 235]
    return len(coloured) / len(beside), float(coloured.mean()) if len(coloured) else 0.0


def short_and_dark(image: Image.Image) -> bool:
    """Whether a woman's hair is short and dark."""
    share, brightness = beside_neck(image)
    return share < SHORT and brightness < DARK


def darkest(image: Image.Image) -> bool:
    """Whether a woman's hair is as dark as that of a third of all women."""
    return beside_neck(image)[1] < DARKEST


WRONG = {"wrong": short_and_dark, "worse": darkest}
"""The perceivers that are wrong, by which women they call men."""
PERCEIVERS = (*WRONG, "right")


class Kept(Memo):
    """A memory of network evaluations that lasts, one file for each occupation."""

    def recall(self, path: Path) -> None:
        """Know what the file knows, and nothing else."""
        self._known = {}
        if path.exists():
            found = load_file(path)
            keys = [key.tobytes() for key in found["keys"]]
            self._known = dict(zip(keys, torch.from_numpy(found["values"]), strict=True))

    def keep(self, path: Path) -> None:
        """Write all that is known."""
        keys = np.stack([np.frombuffer(key, dtype=np.uint8) for key in self._known])
        part = path.with_suffix(".part")
        save_file({"keys": keys, "values": torch.stack(list(self._known.values())).numpy()}, part)
        part.rename(path)


@dataclass(frozen=True)
class Row:
    """Who steers, with how many labels; `alone`: with quotas shifted by the pooled rates, and nothing else."""

    perceiver: str
    labels: int
    alone: bool = False

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.perceiver}, {self.labels} labels" + (f", {ALONE}" if self.alone else "")


Facts = Mapping[str, Any]


class Bench:
    """The pocket model with a memory, and what is kept of each occupation."""

    def __init__(self, occupations: int, images: int) -> None:
        HOME.mkdir(parents=True, exist_ok=True)
        pipeline = load_pocket()
        pipeline.unet.to(memory_format=torch.channels_last)
        self.memo, self.images, self.people = Kept(pipeline), images, people()
        every = [concept for concept in Mix(load(WORK)[1]).concepts if concept != "doctor"]
        spread = np.linspace(0, len(every) - 1, occupations).round().astype(int)
        self.concepts = [every[k] for k in spread]
        self.order = {concept: every.index(concept) for concept in every}
        self.policy = Policy.from_yaml(f"version: 1\nrules:\n- name: even\n  {TARGET}")

    def pipe(self, perceiver: str, calibration: Calibration | None) -> FairPipeline:
        """The pipeline with one of the perceivers. A wrong one reads the pictures at the look, too."""
        right = perceiver == "right"
        found = FairPipeline(
            self.memo.pipeline,
            name="pocket",
            perceiver=pocket.load() if right else Wrong(WRONG[perceiver]),
            judge=judge.load(),
            early=early.load() if right else None,
            calibration=calibration,
        )
        found.backbone = self.memo
        return found

    def facts(self, concept: str, row: Row, calibration: Calibration | None, *, pool: bool = False) -> Facts:
        """What a row made of one occupation, from disk where it was measured before.

        Args:
            pool: draw the images that people may label, `POOL` from other seeds.
        """
        version = calibration.version if calibration else "none"
        name = f"{concept} {row.name} {version} {f'pool {POOL}' if pool else f'measured {self.images}'}".replace(
            " ", "-"
        )
        path = HOME / f"{name}.json"
        if not path.exists():
            made = self._measure(concept, row, calibration, pool)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(made))
            part.rename(path)
            print(name, {n: round(tv(made, n, self.policy), 3) for n in NAMES}, flush=True)
        found: Facts = json.loads(path.read_text())
        return found

    def _measure(self, concept: str, row: Row, calibration: Calibration | None, pool: bool) -> Facts:
        memory = HOME / f"{concept.replace(' ', '-')}.safetensors"
        self.memo.recall(memory)
        known = len(self.memo._known)
        pipe = self.pipe(row.perceiver, None if row.alone else calibration)
        seed = 1_000_000 * (1 + self.order[concept]) + (500_000 if pool else 0)
        n = POOL if pool else self.images
        asked = Request(
            prompt=f"a photo of {article(concept)}",
            n=n,
            seed=seed,
            steps=STEPS,
            batch_size=BATCH,
            policy=None if pool else self.policy,
            hold="none",
        )
        planned = pipe.plan(asked)
        if row.alone and calibration:
            planned = self._shifted(planned, calibration)
        result: Result = dict(pipe.run([planned]))[0]
        if len(self.memo._known) > known:
            self.memo.keep(memory)
        seen = self.people.every_probability(result.images)
        groups = {name: (*self.people.groups[name], None) for name in NAMES}
        said = {name: [groups[name][k] for k in seen[name].argmax(dim=1).tolist()] for name in NAMES}
        return {
            "people": [{name: said[name][i] for name in NAMES} for i in range(n)],
            "perceived": [{name: record.perceived[name] for name in NAMES} for record in result.records],
            "judged": [{name: record.judged[name] for name in NAMES} for record in result.records],
            "ratio": sum(r.evaluations for r in result.records) / sum(r.plain_evaluations for r in result.records),
            **{key: value / n for key, value in result.counts().items()},
        }

    def _shifted(self, planned: Planned, calibration: Calibration) -> Planned:
        """The same with the quotas that the perceiver would read if people saw the target: q = θᵀ τ."""
        quotas = []
        for target in planned.matched.targets:
            known = calibration.find("perceiver", "pocket", target.definitions[0])
            shares = np.array([float(share) for share in target.shares.values()])
            ideal = shares if known is None else shares @ known.of("")[:-1, :-1]
            ideal = ideal / ideal.sum() * planned.request.n
            counts = np.floor(ideal).astype(int)
            counts[np.argsort(counts - ideal, kind="stable")[: planned.request.n - counts.sum()]] += 1
            quotas.append(counts.tolist())
        return replace(planned, quotas=quotas)

    def calibration(self, perceiver: str, labels: int) -> Calibration | None:
        """What so many labels say, of plain images of all occupations."""
        if not labels:
            return None
        pool = [(concept, i) for concept in self.concepts for i in range(POOL)]
        chosen = np.random.default_rng(labels).permutation(len(pool))[:labels]
        rows = []
        for concept, i in (pool[k] for k in sorted(chosen.tolist())):
            found = self.facts(concept, Row(perceiver, 0), None, pool=True)
            for reader, read in (("perceiver", "perceived"), ("judge", "judged")):
                rows += [
                    LabelledImage(
                        reader=reader,
                        model="pocket",
                        attribute=name,
                        people=found["people"][i][name],
                        read=found[read][i][name],
                        concept=concept,
                        guideline="1",
                    )
                    for name in NAMES
                ]
        return calibrated(rows, _defined())

    def run(self, row: Row) -> list[Facts]:
        """A row of all occupations."""
        calibration = self.calibration(row.perceiver, row.labels)
        return [self.facts(concept, row, calibration) for concept in self.concepts]


@cache
def _defined() -> Attributes:
    return built_in()


def tv(facts: Facts, name: str, policy: Policy, by: str = "people") -> float:
    """Total variation from the target, unknown counted against the row."""
    target = next(each for each in policy.rules[0].targets if each.attributes == (name,))
    labels = [labels[name] for labels in facts[by]]
    counts = [labels.count(cell[0]) for cell in target.shares]
    shares = [count / len(labels) for count in (*counts, len(labels) - sum(counts))]
    return float(total_variation(shares, [*map(float, target.shares.values()), 0.0]))


def possible(bench: Bench, wanted: Sequence[int]) -> list[int]:
    """The numbers of labels for which there are images."""
    return [labels for labels in sorted({0, *wanted}) if labels <= POOL * len(bench.concepts)]


def table(bench: Bench, rows: Sequence[Row]) -> list[str]:
    """One line for each row."""
    columns = ["perceiver", "labels", "gender: TV people", "worst", "TV perceiver", "skin tone: TV people", "worst"]
    columns += ["TV perceiver", "evaluations", "steered", "missed"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in rows:
        found = bench.run(row)
        cells = [row.perceiver + (f", {ALONE}" if row.alone else ""), str(row.labels)]
        for name in NAMES:
            seen = [tv(facts, name, bench.policy) for facts in found]
            read = [tv(facts, name, bench.policy, "perceived") for facts in found]
            cells += [f"{np.mean(seen):.3f}", f"{max(seen):.3f}", f"{np.mean(read):.3f}"]
        cells += [f"{np.mean([facts['ratio'] for facts in found]):.2f}×"]
        cells += [f"{np.mean([facts[key] for facts in found]):.1%}" for key in ("steered", "missed")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def bars(bench: Bench, counts: Sequence[int]) -> list[str]:
    """What was to be reached, and whether it is."""

    def mean(perceiver: str, labels: int, name: str) -> float:
        return float(np.mean([tv(facts, name, bench.policy) for facts in bench.run(Row(perceiver, labels))]))

    wanted = max(labels for labels in counts if labels <= 300)
    lines = []
    for perceiver in WRONG:
        before, after = mean(perceiver, 0, "gender"), mean(perceiver, wanted, "gender")
        lines.append(
            f"- {perceiver} perceiver, {wanted} labels: gender goes from {before:.3f} to {after:.3f}, "
            f"{after / before - 1 if before else 0:+.0%} (bar: two thirds less, and 0.03 or less)"
        )
    for name in NAMES:
        worse = max(mean("right", labels, name) - mean("right", 0, name) for labels in counts if labels)
        lines.append(f"- right perceiver: {name} gets worse by {worse:+.3f} at most (bar: +0.005)")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--occupations", type=int, default=20)
    parser.add_argument("--images", type=int, default=100, help="per occupation and row")
    parser.add_argument("--labels", type=int, nargs="+", default=LABELS, help="numbers of labels")
    arguments = parser.parse_args()
    bench = Bench(arguments.occupations, arguments.images)
    for concept in bench.concepts:  # an occupation at a time, so that its memory is read once
        for perceiver in PERCEIVERS:
            for pool in (True, False):
                bench.facts(concept, Row(perceiver, 0), None, pool=pool)
    counts = possible(bench, arguments.labels)
    rows = [Row(perceiver, labels) for perceiver in PERCEIVERS for labels in counts]
    rows += [Row(perceiver, labels, alone=True) for perceiver in WRONG for labels in counts if labels]
    known = {row: bench.calibration(row.perceiver, row.labels) for row in rows}
    for concept in bench.concepts:
        for row in rows:
            bench.facts(concept, row, known[row])
    shares = [float(share) for share in bench.policy.rules[0].targets[0].shares.values()]
    text = [f"# Labels close the loop: {len(bench.concepts)} occupations × {bench.images} images", ""]
    text += [f"A perfect coin would deviate {noise_floor(shares, bench.images):.3f} in gender.", ""]
    text += [*table(bench, rows), "", *bars(bench, counts), "", *coverage(bench.run(Row("wrong", 0))), ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(text))
    print("\n".join(text))
