"""The pocket model over occupations, drawn and read once and kept. Exports `Bench`, `Measured`, `TARGETS`, `policy`.

Results are kept by row, target, occupation, weights and settings, so that a run goes on where it stopped; remove
work/pocket/control after a change of the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from benchmarks.memo import Memo
from benchmarks.rows import PLAIN, ROWS, Row, planned
from fair_diffusion import FairPipeline, Policy, Result
from fair_diffusion.backbones import StableDiffusion
from fair_diffusion.control.assignments import SURE_AT_END
from fair_diffusion.control.strengths import LEVELS
from fair_diffusion.models.cards import card_named
from fair_diffusion.models.pocket import load as load_pocket
from fair_diffusion.models.pocket.folder import WEIGHTS
from fair_diffusion.perception import judge as judges
from fair_diffusion.request import Request
from fair_diffusion.statistics.distance import cosine_distances, pixel_differences
from fair_diffusion.statistics.metrics import total_variation
from fair_diffusion.steering.switch import AWAY
from fair_diffusion.steering.window import LOOK
from recipes.pocket.captions import Mix, article
from recipes.pocket.checkpoint import digest
from recipes.pocket.data import WORK, load

STEPS, BATCH = 15, 25
CARD = card_named("pocket")
SETTINGS = (LOOK, LEVELS, CARD.end, CARD.switch, SURE_AT_END, AWAY)
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
            prompt=prompt,
            n=n,
            seed=seed,
            steps=STEPS,
            batch_size=BATCH,
            policy=policy(target),
            hold=None if row.hold else "none",
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
            "seeds": [record.seed for record in result.records],
            "steered_images": [record.steered for record in result.records],
            "fidelity": sum(record.judged["occupation"] == drawing for record in result.records) / n,
            "ratio": sum(record.evaluations for record in result.records) / n / result.records[0].plain_evaluations,
            "pixels": pixel_differences(result.images, plain.images)[:, 0].tolist(),
            "features": cosine_distances(features, twins).tolist(),
            **{key: value / n for key, value in result.counts().items()},
            "notes": result.notes,
        }
        return Measured(facts, features)

    def run(
        self, concept: str, rows: Sequence[Row] = ROWS, targets: Sequence[str] = tuple(TARGETS)
    ) -> Iterator[tuple[Row, str, Measured]]:
        """Every row of one occupation, from disk where it was measured before."""
        networks = [WEIGHTS / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
        files = [*networks, *(WEIGHTS / f"{name}.safetensors" for name in ("perceiver", "judge", "early"))]
        plain: Result | None = None
        for target in targets:
            for row in rows:
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
