"""The sources of an audited run: its images by kind, with the settings and costs that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fair_diffusion.audit.impact import DRAWN
from fair_diffusion.audit.study import Source
from fair_diffusion.files.text import printable
from fair_diffusion.models.provenance import INSTRUCTION
from fair_diffusion.readers.repeats import Kind, Repeats
from fair_diffusion.runs.format import RESULT
from fair_diffusion.runs.label_counts import groups_read, note_groups, own_groups
from fair_diffusion.runs.records import Record, Run, title_of

_SETTINGS = ("seed", "steps", "guidance", "rule")
_LISTED = 4
"""How many different values of a fact are shown."""


@dataclass
class RunSources:
    """What one pass over all records tells.

    Attributes:
        settings: the values of each setting, by kind.
        evaluations: network evaluations spent, and those that plain images would have taken, by kind.
        seen: the groups that were read, by attribute.
        defining: the summaries of images that define attributes themselves.
        prompts: all prompts, in order.
        files: the paths of all images below the audited folder.
        selection: what was done to the images, by kind, as in `Source.selection`; only where the records tell.
        repeats: images that are there more than once.
        kept: images of each run and kind that are counted: those that are there for the first time.
        again: images of each run and kind that are not.
        total: the number of records that are counted.
    """

    repeats: Repeats

    settings: dict[Kind, dict[str, set[Any]]] = field(default_factory=dict)
    evaluations: dict[Kind, list[int]] = field(default_factory=dict)
    selection: dict[Kind, Counter[str]] = field(default_factory=dict)
    seen: dict[str, dict[str, None]] = field(default_factory=dict)
    defining: list[Mapping[str, Any]] = field(default_factory=list)
    prompts: dict[str, None] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    kept: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    again: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    total: int = 0

    @classmethod
    def of(cls, runs: Iterable[Run], folder: Path) -> RunSources:
        """Read all records of the runs in `folder` once."""
        scanned = cls(Repeats(folder))
        told: set[str] = set()
        every = ((own, record) for own in runs for record in own.records())
        for place, (run, record) in enumerate(every):
            kind = kind_of(record)
            if run.name not in told:
                told.add(run.name)
                scanned.defining += [part for part in run.parts if "definitions" in part]
            scanned.files.add(record["file"])
            again = scanned.repeats.note(place, record, kind)
            (scanned.again if again else scanned.kept)[run.name, kind] += 1
            if again:
                continue
            scanned.total += 1
            scanned.prompts[record["prompt"]] = None
            for name, values in scanned.settings.setdefault(kind, {name: set() for name in _SETTINGS}).items():
                values.add(record.get(name))
            spent = scanned.evaluations.setdefault(kind, [0, 0])
            spent[0] += record.get("evaluations") or 0
            spent[1] += record.get("plain_evaluations") or 0
            if record.get("strength") is not None:
                scanned.selection.setdefault(kind, Counter()).update(_done_to(record))
            note_groups(scanned.seen, record["judged"], record["perceived"])
        return scanned

    def records(self, runs: Iterable[Run]) -> Iterator[Record]:
        """Yield the records of the images that are counted."""
        every = enumerate(record for run in runs for record in run.records())
        return (record for place, record in every if place not in self.repeats.places)

    def parts(self, runs: Iterable[Run]) -> Iterator[Mapping[str, Any]]:
        """Yield the summaries of images, without those whose images are all there more than once."""
        for run in runs:
            for part in run.parts:
                key = (run.name, kind_of(part))
                if self.kept[key] or not self.again[key]:
                    yield part

    def miscounted(self, runs: Iterable[Run]) -> Iterator[str]:
        """Notes on summaries that tell of more or fewer images than there are records."""
        for run in runs:
            for part in run.parts:
                key = (run.name, kind_of(part))
                told, there = part.get("n"), self.kept[key] + self.again[key]
                if told is not None and told != there and not run.damaged:
                    where = printable(f"{run.name}/{RESULT}" if run.name else RESULT)
                    yield f"{where} tells of {told:,} {title_of(part)} images, and there are {there:,} records of them"

    def groups(self) -> dict[str, Sequence[str]]:
        """The groups of every attribute that the judge read."""
        return groups_read(self.seen, own_groups(self.defining))

    def definitions(self) -> Iterator[str]:
        """Notes on attributes that the runs define in several ways."""
        for name, digests in digests_of(self.defining).items():
            if len(digests) > 1:
                yield f"{name} is defined in {len(digests)} ways: {listed_values(digests)}; its groups are those of all"

    def names(self) -> dict[Kind, str]:
        """The source's name for each kind: its title, and what else kinds of one title differ in."""
        names = {}
        for kind in self.settings:
            rivals = [other for other in self.settings if other[0] == kind[0]]
            telling = [kind[k] for k in (1, 2, 3) if kind[k] and len({rival[k] for rival in rivals}) > 1]
            names[kind] = printable(", ".join([kind[0], *telling]))
        return names

    def sources(self, perceiver: str, runs: Iterable[Run]) -> list[Source]:
        """One source for each kind, with its facts. `perceiver` names who read the images."""
        parts: dict[Kind, list[Mapping[str, Any]]] = {kind: [] for kind in self.settings}
        for part in self.parts(runs):
            if kind_of(part) in parts:
                parts[kind_of(part)].append(part)
        return [
            Source(
                name=name,
                kind=kind[0],
                facts={"model": kind[1], "method": kind[2], **_settings_text(self.settings[kind])}
                | {**_summary_facts(parts[kind]), "perceiver": perceiver},
                ratio=self.evaluations[kind][0] / self.evaluations[kind][1] if self.evaluations[kind][1] else None,
                asked=self.settings[kind]["rule"] != {None},
                selection=dict(self.selection.get(kind, {})) if kind[0] == "instructed" else {},
                seconds=sum(part.get("cost", {}).get("seconds", 0.0) for part in parts[kind]) if parts[kind] else None,
            )
            for kind, name in self.names().items()
        ]


def kind_of(record: Mapping[str, Any]) -> Kind:
    """The kind of an image or of a whole run, by its record or summary."""
    return title_of(record), record["model"], record["method"], record.get("control") or ""


def _done_to(record: Mapping[str, Any]) -> Mapping[str, int]:
    """What was done to one image, as `Result.counts` counts it."""
    steered, repairs = record["strength"] > 0, record.get("repairs") or 0
    return {
        "untouched": not steered,
        "steered": steered,
        "repaired": repairs > 0,
        "reseeded": (record.get("reseeds") or 0) > 0,
        "missed": bool(record.get("missed")),
        "looked_at": 1 + repairs if record.get("missed") is not None else 0,
    }


def listed_values(values: Iterable[Any]) -> str:
    """Different values in one line: the first few, and how many more there are."""
    unique = list(dict.fromkeys(map(str, values)))
    more = f" and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
    return printable(", ".join(unique[:_LISTED]) + more)


def _settings_text(settings: Mapping[str, set[Any]]) -> dict[str, str]:
    """Settings as text: a range of seeds, the values of the others."""
    seeds = [seed for seed in settings["seed"] if seed is not None]
    facts = {"seeds": f"{min(seeds)} to {max(seeds)}"} if seeds else {}
    for name in ("steps", "guidance", "rule"):
        values = sorted(str(value) for value in settings[name] if value is not None)
        if values:
            facts[name] = listed_values(values)
    return facts


def _summary_facts(parts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Facts from the summaries of one kind: seeds, number of images, provenance, and what was done to the images."""
    facts: dict[str, str] = {}
    if parts and all(part.keys() >= {"n", "requested", "seed"} for part in parts):
        ranges = (f"{part['seed']} to {part['seed'] + part['n'] - 1}" for part in parts if part["n"])
        facts["seeds"] = listed_values(ranges)
        asked = sum(part["requested"] for part in parts)
        facts["images"] = f"{sum(part['n'] for part in parts)} of {asked} asked for"
    if days := sorted({part["drawn"] for part in parts if isinstance(part.get("drawn"), str)}):
        facts[DRAWN] = printable(days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}")
    facts |= {f"definition of {name}": listed_values(each) for name, each in digests_of(parts).items()}
    provenance = [part.get("made_with", {}) for part in parts]
    for name in dict.fromkeys(name for one in provenance for name in one):
        values = [one[name] for one in provenance if name in one]
        facts[name] = _whole_texts(values) if name == INSTRUCTION else listed_values(values)
    done: dict[str, int] = {}
    for what, count in (pair for part in parts for pair in part.get("images", {}).items()):
        done[what] = done.get(what, 0) + count
    if done and title_of(parts[0]) == "instructed":
        facts["what was done"] = printable(", ".join(f"{count} {what}" for what, count in done.items()))
    return facts


def digests_of(parts: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The hashes of the definitions of each attribute that summaries of images define themselves."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for name, each in part.get("definitions", {}).items():
            found.setdefault(name, {})[each["digest"]] = None
    return {name: list(digests) for name, digests in found.items()}


def _whole_texts(values: Iterable[Any]) -> str:
    """Different texts one below the other, each with all its lines."""
    return "\n\n".join("\n".join(map(printable, text.splitlines())) for text in dict.fromkeys(map(str, values)))
