"""What came out of a drawing, in the words that `fair-diffusion generate` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from fair_diffusion.audit.delivery import Delivery, delivery
from fair_diffusion.audit.side_effects import SideEffect, side_effect
from fair_diffusion.audit.table import JOINT
from fair_diffusion.report.delivered import besides, done, said
from fair_diffusion.studio.drawings import Drawing


def outcome(drawn: Drawing) -> list[str]:
    """The sentences: what was delivered, what was done to the images, what else moved, and what it took."""
    if not drawn.images:
        return ["No image was finished."]
    before = _plain_images(drawn)
    delivered = [_told(one, drawn, names, before) for names in drawn.targets for one in [delivered_of(drawn, names)]]
    sentences = [f"{text[0].upper()}{text[1:]}." for text in delivered] or ["Nothing was asked of these images."]
    sentences.append(_capital(done(_done(drawn), checked=any(i.get("missed") is not None for i in drawn.images))) + ".")
    sentences += [_capital(besides(effect)) + "." for effect in moved(drawn) if effect.steered]
    plain, spent = drawn.result.get("plain_evaluations"), drawn.result.get("evaluations", 0)
    if plain:
        ratio = f"{spent / plain:.2f}"
        ratio = ratio[:-1] if ratio.endswith("0") else ratio
        sentences.append(f"{ratio}× the cost of plain, {drawn.result['seconds']:,.0f} s.")
    return sentences


def delivered_of(drawn: Drawing, names: Sequence[str]) -> Delivery:
    """The images that show each group of a target's attributes, beside those that were asked for."""
    groups = [JOINT.join(cell) for cell in product(*(drawn.groups(name) for name in names))]
    images = [tile.image for tile in drawn.tiles if tile.image]
    asked = Counter(JOINT.join(image["assigned"][name] for name in names) for image in images)
    read = [_read(image, "judged", names) for image in images]
    other = [_read(image, "perceived", names) for image in images]
    counts = Counter(group for group in read if group in groups)
    return delivery(
        JOINT.join(names),
        {group: asked[group] for group in groups},
        {group: counts[group] for group in groups},
        unread=len(images) - sum(counts.values()),
        disputed=Counter(a for a, b in zip(read, other, strict=True) if a != b),
    )


def moved(drawn: Drawing) -> list[SideEffect]:
    """How attributes changed that nobody asked to change; empty without plain twins."""
    both = [(tile.plain, tile.image) for tile in drawn.tiles if tile.plain and tile.image]
    pairs = [(plain, image) for plain, image in both if plain["seed"] == image["seed"]]
    if not pairs:
        return []
    return [
        side_effect(
            name,
            drawn.groups(name),
            [plain["judged"].get(name) for plain, _ in pairs],
            [image["judged"].get(name) for _, image in pairs],
            [bool(image["steered"]) for _, image in pairs],
        )
        for name in drawn.attributes
        if name not in drawn.asked and name in drawn.definitions
    ]


def _told(one: Delivery, drawn: Drawing, names: Sequence[str], before: Sequence[Mapping[str, Any]]) -> str:
    if not before:
        return said(one)
    read = Counter(_read(image, "judged", names) or "unknown" for image in before)
    return said(one, read)


def _plain_images(drawn: Drawing) -> Sequence[Mapping[str, Any]]:
    if drawn.plain is None:
        return ()
    found: Sequence[Mapping[str, Any]] = (drawn.plain.result or {}).get("images", ())
    return found


def _done(drawn: Drawing) -> dict[str, int]:
    """As `Result.counts`."""
    images = [tile.image for tile in drawn.tiles if tile.image]
    return {
        "untouched": sum(not image["steered"] for image in images),
        "steered": sum(bool(image["steered"]) for image in images),
        "repaired": sum(image["repairs"] > 0 for image in images),
        "reseeded": sum(image.get("reseeds", 0) > 0 for image in images),
        "missed": sum(bool(image.get("missed")) for image in images),
    }


def _read(image: Mapping[str, Any], by: str, names: Sequence[str]) -> str | None:
    read = [image[by].get(name) for name in names]
    return None if None in read else JOINT.join(map(str, read))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def rows(drawn: Drawing) -> Iterator[dict[str, Any]]:
    """A table of the images, one row each: what was asked of it, what was done, what it shows."""
    for tile in drawn.tiles:
        image = tile.image or tile.first
        row: dict[str, Any] = {
            "image": tile.place + 1,
            "file": name_of(drawn, tile.place),
            "seed": image["seed"],
            "steered": image["steered"],
            "strength": image["strength"],
            "repairs": image["repairs"],
            "made_again": tile.again is not None,
            "missed": tile.missed,
        }
        for name in drawn.attributes:
            row[f"{name}_asked"] = image["assigned"].get(name)
            row[f"{name}_judged"] = image["judged"].get(name)
            row[f"{name}_confidence"] = image["confidence"].get(name)
            row[f"{name}_perceived"] = image["perceived"].get(name)
            row[f"{name}_plain"] = tile.plain["judged"].get(name) if tile.plain else None
        yield row


def name_of(drawn: Drawing, place: int, kind: str = "image") -> str:
    """The name of the file of an image."""
    return f"{kind}-{place:04d}.{drawn.body.format}"
