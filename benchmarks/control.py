"""Exact proportions at nearly no cost: natural-first control beside the baselines and the published way.

20 occupations, the same seeds for every row. Targets: half women; 30 % women; gender × skin tone uniform over woman and
man and five tones. TV is the total variation from the target, unknown counted against the row, by the judge and by the
perceiver; fidelity: occupation right; KID: judge's features against the training renders; distances: to the plain twin
of the same seed. Seconds are those of 12 images of one occupation over plain, in turn.
Results are kept by row, target, occupation, weights and settings, so that a run goes on where it stopped; remove
work/pocket/control after a change of the code.

    python -m benchmarks.control [--images 100]      → a table, and benchmarks/control.md
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from benchmarks.memo import Memo
from benchmarks.rows import PLAIN, ROWS, Row, planned
from fair_diffusion import FairPipeline, Policy, Result
from fair_diffusion.audit.corrections import corrected
from fair_diffusion.audit.tally import Tally
from fair_diffusion.backbones import StableDiffusion
from fair_diffusion.control.assignments import SURE_AT_END
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.models.cards import card_named
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception import judge as judges
from fair_diffusion.perception import pocket as perceivers
from fair_diffusion.request import Request
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences
from fair_diffusion.statistics.kid import kid
from fair_diffusion.statistics.metrics import noise_floor, total_variation
from fair_diffusion.statistics.over_prompts import high_end, low_end
from fair_diffusion.statistics.process_deviation import worst_deviation
from fair_diffusion.steering.window import LOOK
from recipes.pocket.captions import Mix, article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import WORK, load
from recipes.pocket.readers import confusions

STEPS, BATCH = 15, 25
CARD = card_named("pocket")
SETTINGS = (LOOK, LEVELS, CARD.end, CARD.switch, SURE_AT_END)
TARGETS = {
    "half women": "every: occupation\n  targets: {gender: {woman: 50%, man: 50%}}",
    "30 % women": "every: occupation\n  targets: {gender: {woman: 30%, man: 70%}}",
    "gender × skin tone": "every: occupation\n  joint:\n"
    + "".join(
        f"  - {{gender: {gender}, skin_tone: {tone}, share: 10%}}\n"
        for gender in ("woman", "man")
        for tone in ("light", "medium-light", "medium", "medium-dark", "dark")
    ),
}


@dataclass(frozen=True)
class Measured:
    """What one row made of one occupation: facts (see `measure`) and the judge's features (images, d)."""

    facts: dict[str, Any]
    features: NDArray[np.float32]


def policy(target: str) -> Policy:
    """The policy with one rule for every occupation."""
    return Policy.from_yaml(f"version: 1\nrules:\n- name: {target}\n  {TARGETS[target]}")


class Bench:
    """The pocket model with a memory, and the folder in which results are kept."""

    def __init__(self, images: int) -> None:
        self.pipe = FairPipeline.from_pretrained("pocket")
        pipeline = load_pocket()
        pipeline.unet.to(memory_format=torch.channels_last)  # an eighth faster on a CPU
        self.memo = Memo(pipeline)
        self.pipe.backbone = self.memo
        self.mix = Mix(load(WORK)[1])
        self.images = images
        # doctor shares its drawings with nurse
        self.concepts = [concept for concept in self.mix.concepts if concept != "doctor"]

    def draw(self, row: Row, target: str, concept: str) -> Result:
        """The images of one occupation."""
        n = self.images
        prompt, seed = f"a photo of {article(concept)}", 1_000_000 * (1 + self.concepts.index(concept))
        asked = Request(
            prompt=prompt, n=n, seed=seed, steps=STEPS, batch_size=BATCH, policy=policy(target), hold="none"
        )
        return dict(self.pipe.run([planned(self.pipe, row, asked)]))[0]

    @torch.no_grad()
    def measure(self, row: Row, target: str, concept: str, plain: Result) -> Measured:
        """Draw and read; `plain` are the twins."""
        result = plain if row == PLAIN else self.draw(row, target, concept)
        n, judge = len(result.images), judges.load()
        features, twins = judge.embed(result.images).numpy(), judge.embed(plain.images).numpy()
        drawing = self.mix.concepts[concept]["drawing"]
        facts = {
            "judged": [record.judged for record in result.records],
            "perceived": [record.perceived for record in result.records],
            "assigned": [record.assigned for record in result.records],
            "fidelity": sum(record.judged["occupation"] == drawing for record in result.records) / n,
            "ratio": sum(record.evaluations for record in result.records) / n / result.records[0].plain_evaluations,
            "pixels": pixel_differences(result.images, plain.images)[:, 0].tolist(),
            "features": cosine_distances(features, twins).tolist(),
            **{key: value / n for key, value in result.counts().items()},
            "notes": result.notes,
        }
        return Measured(facts, features)

    def run(self, concept: str) -> Iterator[tuple[Row, str, Measured]]:
        """Every row of one occupation, from disk where it was measured before."""
        networks = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
        files = [*networks, *(WEIGHTS / f"{name}.safetensors" for name in ("perceiver", "judge", "early"))]
        plain: Result | None = None
        for target in TARGETS:
            for row in ROWS:
                made_by = digest(*files, row, TARGETS[target], concept, self.images, STEPS, BATCH, *SETTINGS)
                path = WORK / "control" / f"{concept.replace(' ', '-')}-{made_by}.safetensors"
                if not path.exists():
                    plain = plain or self.draw(PLAIN, target, concept)
                    measured = self.measure(row, target, concept, plain)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    part = path.with_suffix(".part")
                    save_file({"features": measured.features}, part, {"facts": json.dumps(measured.facts)})
                    part.rename(path)
                with safe_open(path, "np") as file:
                    facts = json.loads(file.metadata()["facts"])
                yield row, target, Measured(facts, load_file(path)["features"])
        self.memo.forget()

    def seconds(self, row: Row, target: str, n: int = 12) -> float:
        """Wall-clock time over that of plain generation, taken in turn, without memory."""
        self.pipe.backbone = StableDiffusion(self.memo.pipeline)
        times = []
        for way in (PLAIN, row):
            asked: dict[str, Any] = {
                "n": n,
                "steps": STEPS,
                "batch_size": BATCH,
                "method": way.method,
                "control": way.control,
            }
            times.append(self.pipe("a photo of a firefighter", policy=policy(target), **asked).seconds)
        self.pipe.backbone = self.memo
        return times[1] / times[0]


def deviations(facts: dict[str, Any], target: str) -> tuple[float, float]:
    """Total variation from the target by the judge and by the perceiver, unknown counted against the row."""
    (wanted,) = policy(target).rules[0].targets

    def tv(read: list[dict[str, str | None]]) -> float:
        cells = [tuple(labels[name] for name in wanted.attributes) for labels in read]
        counts = [cells.count(cell) for cell in wanted.shares]
        shares = [count / len(cells) for count in (*counts, len(cells) - sum(counts))]
        return total_variation(shares, [*map(float, wanted.shares.values()), 0.0])

    return tv(facts["judged"]), tv(facts["perceived"])


@torch.no_grad()
def renders() -> NDArray[np.float32]:
    """The judge's features of the drawings of women and men that the UNet was trained on."""
    pictures, drawings = load(WORK)
    rows = [i for i, d in enumerate(drawings) if d.fold and d.occupation and d.tone and d.gender in ("woman", "man")]
    parts = torch.split(pictures[rows].float() / 127.5 - 1, 128)
    return torch.cat([judges.load().features(part) for part in parts]).numpy()


COLUMNS = (
    "row",
    "images",
    "TV judge, mean (95 %)",
    "worst",
    "TV perceiver, mean",
    "worst",
    "perfect coin",
    "evaluations",
    "seconds",
    "steered",
    "repaired",
    "re-seeded",
    "missed",
    "occupation right",
    "KID",
    "pixels from twin",
    "features from twin",
)


def line(bench: Bench, row: Row, target: str, found: list[Measured], reference: NDArray[np.float32]) -> str:
    """One row of the table."""
    facts = [measured.facts for measured in found]
    judge, perceiver = zip(*(deviations(each, target) for each in facts), strict=True)
    (wanted,) = policy(target).rules[0].targets
    failed = worst_deviation([float(share) for share in wanted.shares.values()])
    low, high = float(low_end(judge)), float(high_end(judge, max(failed, *judge)))
    n = len(facts[0]["judged"])

    def mean(key: str) -> float:
        return float(np.mean([np.mean(each[key]) for each in facts]))

    distance = kid(np.concatenate([measured.features for measured in found]), reference)
    cells = [
        row.name,
        f"{len(facts)} × {n}",
        f"{np.mean(judge):.3f} ({low:.3f} to {high:.3f})",
        f"{max(judge):.3f}",
        f"{np.mean(perceiver):.3f}",
        f"{max(perceiver):.3f}",
        f"{noise_floor([float(share) for share in wanted.shares.values()], n):.3f}",
        f"{mean('ratio'):.2f}×",
        f"{bench.seconds(row, target):.2f}×",
        *(f"{mean(key):.1%}" for key in ("steered", "repaired", "reseeded", "missed", "fidelity")),
        f"{distance.value:.3f}" + ("" if distance.error is None else f" ± {distance.error:.3f}"),
        f"{mean('pixels'):.1%}",
        f"{abs(mean('features')):.3f}",  # rounding may leave −0
    ]
    return f"| {' | '.join(cells)} |"


def disagreement(bench: Bench, found: dict[tuple[str, str], list[Measured]], row: Row) -> list[str]:
    """Where judge and perceiver differ on the pictures of one row, and what is left when both are corrected."""
    lines = [f"## Where judge and perceiver differ: {row.name}", ""]
    readers = {"judged": confusions(judges.load(), WORK), "perceived": confusions(perceivers.load(), WORK)}
    lines += ["| target | attribute | of images left alone | of steered ones | most often (perceiver → judge) |"]
    lines += ["|---|---|---|---|---|"]
    for target in TARGETS:
        facts = [measured.facts for measured in found[target, row.name]]
        for name in policy(target).rules[0].targets[0].attributes:
            seen = [
                (pixels > 0, perceived[name], judged[name])  # only steered images differ from their twins at all
                for each in facts
                for pixels, perceived, judged in zip(each["pixels"], each["perceived"], each["judged"], strict=True)
            ]
            parts = [[a != b for steered, a, b in seen if steered == which] for which in (False, True)]
            pairs = Counter((a, b) for _, a, b in seen if a != b).most_common(3)
            often = ", ".join(f"{a or 'unknown'} → {b or 'unknown'} {count}" for (a, b), count in pairs)
            shares = " | ".join(f"{np.mean(part):.1%}" for part in parts)
            lines.append(f"| {target} | {name} | {shares} | {often} |")
    lines += [
        "",
        "Shares over all occupations, as read and corrected for each reader's errors on held-out drawings:",
        "",
    ]
    lines += ["| target | group | asked | judge read | corrected (95 %) | perceiver read | corrected (95 %) |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for target in ("half women", "30 % women"):
        facts = [measured.facts for measured in found[target, row.name]]
        asked = policy(target).rules[0].targets[0].shares
        both = []
        for reader, matrices in readers.items():
            labels = [labels["gender"] for each in facts for labels in each[reader]]
            counts = {group: labels.count(group) for group in matrices["gender"].groups}
            tally = Tally(
                source=row.name, concept=target, attribute="gender", counts=counts, unknown=labels.count(None)
            )
            both.append({line.group: line for line in corrected(tally, matrices["gender"])})
        for group in both[0]:
            cells = [
                f"{one.share:.1%} | {one.corrected:.1%} ({one.low:.1%} to {one.high:.1%})"
                for one in (each[group] for each in both)
            ]
            lines.append(f"| {target} | {group} | {float(asked[group,]):.0%} | {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100, help="per occupation and row")
    bench = Bench(parser.parse_args().images)
    found: dict[tuple[str, str], list[Measured]] = {(t, row.name): [] for t in TARGETS for row in ROWS}
    for concept in bench.concepts:
        for row, target, measured in bench.run(concept):
            found[target, row.name].append(measured)
            print(concept, target, row.name, [round(tv, 3) for tv in deviations(measured.facts, target)], flush=True)
    reference = renders()
    text = [f"# Control on the pocket model: {STEPS} steps, guidance {bench.pipe.card.guidance:g}", ""]
    for target in TARGETS:
        text += [f"## {target}", "", f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        text += [line(bench, row, target, found[target, row.name], reference) for row in ROWS]
        text.append("")
    text += disagreement(bench, found, ROWS[-1])
    Path(__file__).with_suffix(".md").write_text("\n".join(text))
    print("\n".join(text))
