"""Labels of pictures as people keep them in tables, one row per picture and attribute, or one column per attribute:

file,attribute,group[,rater]                  one row per label
file,age,gender,race,service_test[,rater]     one column per attribute, as in the labels of FairFace

A column `probability` says with which probability the picture was shown, or "chosen" if somebody chose it, so that it
stands for no other; `guideline` by which version it was labelled, and `definition` by which definition of the attribute
(`policy.defined_as`). Calibrations need the first where pictures were not drawn uniformly. Labels of an attribute that
was defined otherwise are labels of another one. "skipped" in the place of a group is no label: a rater was shown the
picture and skipped it, because it shows nobody. Shares of pictures need such rows, because a reader may read groups
into these pictures.
Attributes and groups are spelt as `policy.spelling` compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fair_diffusion.files.csv_rows import CsvErrors, Row, chosen, inner_path
from fair_diffusion.files.tables import FILE, open_table
from fair_diffusion.policy import Attributes, built_in
from fair_diffusion.policy.defined_as import defined_as
from fair_diffusion.policy.spelling import UNKNOWN, named

COLUMNS, OPTIONAL = ("file", "attribute", "group"), ("rater", "concept", "source")
SHOWN = ("probability", "guideline", "definition")
CHOSEN = "chosen"
"""What stands in the place of the probability of a picture that somebody chose."""
ALSO = {
    "file": FILE,
    "attribute": ("dimension", "variable"),
    "group": ("label", "value", "class", "answer"),
    "rater": ("annotator", "worker", "labeler", "labeller", "coder", "user", "worker_id", "annotator_id", "rater_id"),
    "concept": ("prompt", "occupation", "profession", "job"),
    "source": ("model",),
}
SKIPPED = "skipped"
"""Stands in the place of a group where a rater skipped the picture."""
PEOPLES = ("race", "ethnicity", "race7", "race4", "ethnic_group", "skin_type", "fitzpatrick", "monk")
"""Columns that are attributes too, though none of ours. Other columns need rows of their own."""


@dataclass(frozen=True, kw_only=True)
class _Label:
    """One label, and what stands beside it in its row."""

    line: int
    file: str
    attribute: str
    group: str
    rater: str
    concept: str
    source: str
    probability: str
    guideline: str
    definition: str

    @property
    def skips(self) -> bool:
        """Whether the rater skipped the picture."""
        return self.group.strip().casefold() == SKIPPED

    @property
    def named(self) -> tuple[str, str]:
        """Attribute and group, as they are written; a skipped picture has no group."""
        return self.attribute, UNKNOWN if self.skips else self.group


@dataclass(frozen=True)
class LabelRows:
    """The labels of a table.

    Attributes:
        votes: the group that each rater wrote, by attribute, file and rater.
        about: concept and source of each file, as far as they stand there; "" where they do not.
        chances: the probability with which a picture was shown, by attribute and file, as far as it stands there;
            that of skipped ones, too.
        guidelines: the version of the guideline of each label or skip, by attribute, file and rater, likewise.
        skipped: who skipped a picture, by attribute and file, where nobody labelled it.
        notes: what was read otherwise than it is written, and what was left out.
        chosen: the pictures that somebody chose, by attribute and file.
    """

    votes: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    about: dict[str, tuple[str, str]] = field(default_factory=dict)
    chances: dict[tuple[str, str], float] = field(default_factory=dict)
    guidelines: dict[tuple[str, str, str], str] = field(default_factory=dict)
    skipped: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    chosen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, one: _Label, errors: CsvErrors) -> None:
        """Add one label; what is wrong with it goes to `errors`."""
        attribute, file = one.attribute, one.file
        self.about[file] = (one.concept, one.source)
        if one.probability == CHOSEN:
            self.chosen.add((attribute, file))
        if one.guideline:
            self.guidelines[attribute, file, one.rater] = one.guideline
        if one.probability not in ("", CHOSEN):
            try:
                chance = _chance(one.probability)
                if (before := self.chances.setdefault((attribute, file), chance)) != chance:
                    raise ValueError(
                        f"the probability of {file!r} is {chance:g} here and {before:g} above; a picture was shown "
                        "with one probability"
                    )
            except ValueError as error:
                errors.add(one.line, str(error))
        if one.skips:
            self.skipped.setdefault(attribute, {}).setdefault(file, []).append(one.rater)
            return
        raters = self.votes.setdefault(attribute, {}).setdefault(file, {})
        if one.rater in raters:
            who = f"rater {one.rater!r}" if one.rater else "a rater without a name"
            errors.add(one.line, f"{who} labels {attribute} of {file!r} twice; keep one, or name the raters")
        raters[one.rater] = one.group

    def check_drawn(self, path: Path) -> None:
        """`ValueError` if somebody chose some of the pictures."""
        if self.chosen:
            raise ValueError(
                f"{path} has labels of {len(self.chosen)} pictures that somebody chose, such as "
                f"{min(self.chosen)[1]!r} (probability {CHOSEN!r}); they tell nothing of other pictures: leave these "
                "lines out, or, where these are all the pictures of an audit, the column `probability`"
            )

    def settle(self) -> None:
        """Forget the skips of pictures that somebody labelled, and note how many other pictures were skipped."""
        for attribute, files in self.skipped.items():
            for file in self.votes.get(attribute, {}).keys() & files.keys():
                del files[file]
            if files:
                told = f"{len(files):,} picture{'' if len(files) == 1 else 's'}"
                self.notes.append(
                    f"{attribute}: people skipped {told}, so shares as people see them are those among the others"
                )

    def check_chances(self, path: Path) -> None:
        """`ValueError` if the probability stands beside some pictures of an attribute, and not beside others."""
        for attribute, files in self.votes.items():
            known = sum((attribute, file) in self.chances for file in files)
            if 0 < known < len(files):
                raise ValueError(
                    f"{path} has the probability of {known} of {len(files)} pictures labelled by {attribute}; give it "
                    "for all of them, or leave the column out if all had the same"
                )


def read_labels(
    path: Path,
    defined: Attributes | None = None,
    definitions: Mapping[str, str] | None = None,
    *,
    chosen_too: bool = False,
    skips_alone: bool = False,
) -> LabelRows:
    """Read a table of labels.

    Args:
        path: the table.
        defined: the definitions of the attributes that it may name; the built-in ones if None.
        definitions: by attribute, by what the definition of its labels must be known, where they say it; those of
            `defined` if None.
        chosen_too: whether it may hold labels of pictures that somebody chose.
        skips_alone: whether it may hold nothing but skipped pictures.

    Raises:
        ValueError: it is none, and the message says what was seen; or lines are wrong, one line for each of them; or
            somebody chose some of the pictures.
    """
    if definitions is None:
        definitions = {name: defined_as(each) for name, each in (defined or built_in()).items()}
    header, rows = open_table(path, COLUMNS, ALSO)
    columns, left_out = attributes_in(header, defined)
    wide = not any(name in header for name in ("attribute", *ALSO["attribute"])) and bool(columns)
    long = (
        _wide(path, header, rows, columns)
        if wide
        else chosen(path, header, rows, required=COLUMNS, optional=(*OPTIONAL, *SHOWN), also=ALSO)
    )
    found, errors = LabelRows(), CsvErrors(path)
    labels = list(_labels(long, errors))
    names = named((one.named for one in labels), defined)
    for one in labels:
        if one.named in names.wrong:
            errors.add(one.line, names.wrong[one.named])
        else:
            attribute, group = names.names[one.named]
            wanted = definitions.get(attribute, one.definition)
            if one.definition not in ("", wanted):
                errors.add(one.line, _otherwise(attribute, one.definition, wanted))
            found.add(replace(one, attribute=attribute, group=SKIPPED if one.skips else group), errors)
    errors.check()
    if not found.votes and not (skips_alone and found.skipped):
        raise ValueError(f"{path} holds no labels; give one line per picture")
    if not chosen_too:
        found.check_drawn(path)
    found.settle()
    found.check_chances(path)
    found.notes.extend(names.notes)
    if wide and left_out:
        found.notes.append(f"columns that are no attribute were left out: {', '.join(left_out)[:200]}")
    return found


def _labels(rows: Iterator[Row], errors: CsvErrors) -> Iterator[_Label]:
    """The labels of rows, as they are written."""
    for line, row in rows:
        try:
            file = inner_path(row["file"])
        except ValueError as error:
            errors.add(line, str(error))
            continue
        if not row["attribute"] or not row["group"]:
            errors.add(line, "attribute or group is empty; write 'unknown' if the group cannot be told")
            continue
        rest = {name: row[name] for name in ("attribute", "group", *OPTIONAL, *SHOWN)}
        yield _Label(line=line, file=file, **rest)


def attributes_in(header: Sequence[str], defined: Attributes | None = None) -> tuple[list[str], list[str]]:
    """The columns of a table that are attributes, and those that say nothing here."""
    defined = defined or built_in()
    others = {name for column in ("file", *OPTIONAL) for name in (column, *ALSO[column])} | {*SHOWN}
    rest = [name for name in header if name and name not in others]
    columns = [name for name in rest if name in PEOPLES or _attribute(name, defined) in defined]
    return columns, [name for name in rest if name not in columns]


def _otherwise(attribute: str, definition: str, wanted: str) -> str:
    return (
        f"{attribute} was labelled by another definition ({definition}) than this one ({wanted}); give the one that it "
        "was labelled by (--define FILE), or label anew"
    )


def _chance(text: str) -> float:
    try:
        chance = 0.0 if "_" in text else float(text)  # Python takes 0_1 for 1
    except ValueError:
        chance = 0.0
    if not 0 < chance <= 1:
        raise ValueError(
            f"the probability is {text!r}; give that with which the picture was shown, above 0 and up to 1"
        )
    return chance


def is_label_table(header: Sequence[str], defined: Attributes | None = None) -> bool:
    """Whether a table of these columns holds labels of pictures."""
    has = {column: any(name in header for name in (column, *ALSO[column])) for column in ("file", "attribute", "group")}
    return has["file"] and bool((has["attribute"] and has["group"]) or attributes_in(header, defined)[0])


def _attribute(name: str, defined: Attributes) -> str:
    found = named([(name, "unknown")], defined)
    return found.names[name, "unknown"][0] if not found.wrong else ""


def _wide(
    path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]], columns: Sequence[str]
) -> Iterator[Row]:
    """Yield one row for each label of a table with one column per attribute. An empty cell is no label."""
    for line, row in chosen(path, header, rows, required=("file",), optional=(*OPTIONAL, *SHOWN, *columns), also=ALSO):
        for attribute in columns:
            if row[attribute]:
                yield line, row | {"attribute": attribute, "group": row[attribute]}
