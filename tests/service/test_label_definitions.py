"""Somebody defines an attribute anew, under the same group names: labels of the old one are labels of another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from audit_examples import put, record, write_run
from browsing import Studio
from label_examples import GENDER, made_set, new_pictures, picture_file, sets_of
from sqlalchemy import text, update
from stream_jobs import drawn
from test_label_calibration import _drawn
from test_label_decisions import rate

from fair_diffusion.files.guarded import InnerFile
from fair_diffusion.perception.human import HumanLabels
from fair_diffusion.policy import Attributes, Policy, built_in
from fair_diffusion.policy.defined_as import BUILT_IN
from fair_diffusion.policy.guideline import guideline_of
from fair_diffusion.readers.labelled_runs import labelled_images
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import CANCELLED
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.label_calibration import calibration_of
from fair_diffusion.service.label_decisions import Adjudications, DecidedEverywhere
from fair_diffusion.service.label_folder import LabelFolder
from fair_diffusion.service.label_table import import_labels, labels_text, write_labels
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.tables import label_sets
from fair_diffusion.studio.flows import flows
from fair_diffusion.studio.system_card import agreement

OTHER = replace(GENDER, groups=(replace(GENDER.groups[0], phrases=("person in a skirt",)), *GENDER.groups[1:]))
ANEW = Attributes([*built_in().values(), OTHER])
SKIRTS = """version: 1
attributes:
  gender:
    groups:
      woman: {phrases: [person in a skirt]}
      man: {phrases: [person in trousers]}
      androgynous: {phrases: [person in a kilt]}
rules:
- every: occupation
  targets: {gender: {woman: 50%, man: 50%}}
"""
"""A policy that defines gender anew."""


def test_a_set_and_its_labels_know_the_definition(database: Database, tmp_path: Path) -> None:
    sets, made = made_set(database, tmp_path, 4)
    other = sets.add("skirts", OTHER, new_pictures(database, tmp_path, 4), second=0.0)
    assert (made.definition, other.definition) == (BUILT_IN, OTHER.digest)
    assert sets.get(other.id).definition == OTHER.digest
    rate(database, made, "anna", "woman")
    rate(database, other, "anna", "man")
    assert [label.definition for label in Labels(database).all()] == [BUILT_IN, OTHER.digest]


def test_sets_of_the_former_schema_go_on_while_a_server_of_that_time_runs(url: str, tmp_path: Path) -> None:
    former = Database(url)
    _, made = made_set(former, tmp_path, 4)
    rate(former, made, "anna", "woman")
    Jobs(former).put("draw pocket", {}, key="key_1")
    (held,) = Claims(former, "w").claim(["draw pocket"])
    with former.writing() as connection:
        for table in ("label_sets", "labels"):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN definition"))
        connection.execute(text("DROP TABLE calibrations"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    database = Database(url)
    old = sets_of(database, tmp_path).get(made.id)
    rate(database, old, "ben", "man")
    assert (old.definition, [label.definition for label in Labels(database).all()]) == (None, [None, None])
    Claims(former, "w").event(held, "partial", {})
    assert [jobs.cancel(held.id).shown for jobs in (Jobs(database), Jobs(former))] == ["cancelling"] * 2
    Claims(former, "w").end(held, CANCELLED)
    assert Jobs(database).retry(held.id).shown == "queued"
    assert [event.kind for event in Jobs(former).events(held.id)] == ["partial", "cancelling", "cancelled", "queued"]
    database.close()
    former.close()


def test_a_calibration_leaves_labels_of_another_definition_out_and_says_so(database: Database, tmp_path: Path) -> None:
    version = Policies(database).add(SKIRTS)
    anew = version.policy.attributes
    sets = sets_of(database, tmp_path)
    for name, attribute, rule, answer in (("old", GENDER, "nurse", "man"), ("new", anew["gender"], "cook", "woman")):
        policy = None if name == "old" else version.version
        pictures = _drawn(database, tmp_path, ["woman", "man"] * 4, rule=rule, policy=policy, first=8 * (name == "new"))
        rate(database, sets.add(name, attribute, pictures, second=0.0), "anna", *[answer] * 4)
    for defined, wanted, row, out in ((built_in(), GENDER, 1, "new"), (anew, anew["gender"], 0, "old")):
        found = calibration_of(database, defined=defined)
        judge = found.calibration.find("judge", "pocket", wanted)
        assert judge is not None
        assert [sum(counts) for counts in judge.counts] == [4 if k == row else 0 for k in range(4)]
        (note,) = found.notes
        assert note.startswith(f"set {out!r} was left out: its gender was defined otherwise")
    with pytest.raises(ValueError, match=r"set 'old' was left out.*label by today's definition, or calibrate by that"):
        calibration_of(database, ["old"], defined=anew)


def test_readers_that_went_by_another_definition_tell_nothing_of_this_one(database: Database, tmp_path: Path) -> None:
    """A set asks by the definition of today about pictures whose readers went by that of yesterday."""
    version = Policies(database).add(SKIRTS)
    before = _drawn(database, tmp_path, ["woman", "man"] * 4, rule="nurse")
    since = _drawn(database, tmp_path, ["woman", "man"] * 4, rule="cook", policy=version.version, first=8)
    made = sets_of(database, tmp_path).add("skirts", version.policy.attributes["gender"], [*before, *since], second=0.0)
    rate(database, made, "anna", *["woman"] * 16)
    found = calibration_of(database, defined=version.policy.attributes)
    assert (found.pictures, len(found.notes)) == (8, 1)
    assert found.notes[0].startswith(
        "8 labelled pictures were left out: no job that is kept says what the readers read"
    )


def test_another_guideline_counts_and_is_said_and_so_is_a_set_that_is_older(database: Database, tmp_path: Path) -> None:
    pictures = _drawn(database, tmp_path, ["woman", "man"] * 4)
    made = sets_of(database, tmp_path).add("nurses", GENDER, pictures, second=0.0)
    rate(database, made, "anna", *["woman"] * 4)
    told = replace(GENDER, guideline=("Whoever wears a skirt is a woman.",))
    found = calibration_of(database, defined=Attributes([*built_in().values(), told]))
    (note,) = found.notes
    assert f"another guideline ({made.guideline}) than today's ({guideline_of(told).version})" in note
    assert found.pictures == 4
    assert calibration_of(database).notes == []
    with database.writing() as connection:
        connection.execute(update(label_sets).values(definition=None))
    (note,) = calibration_of(database).notes
    assert note.startswith("set 'nurses' is older than the definitions that sets keep: its labels count")


def test_a_table_tells_the_definition_and_is_refused_by_another(database: Database, tmp_path: Path) -> None:
    sets, made = made_set(database, tmp_path, 4)
    rate(database, made, "anna", "woman", None)
    other = sets.add("skirts", OTHER, new_pictures(database, tmp_path, 4), second=0.0)
    table = labels_text(database, made)
    assert [line.rpartition(",")[2] for line in table.splitlines()] == ["definition", BUILT_IN, BUILT_IN]
    with pytest.raises(ValueError, match=f"labelled by another definition \\({BUILT_IN}\\) than this one"):
        import_labels(database, other, table)
    assert import_labels(database, made, table, attributes=ANEW).already == 2  # the set is of the old one, as the table
    path = tmp_path / "labels.csv"
    write_labels(database, made, path)
    run = write_run(tmp_path / "run", [record(k, "woman", file=f"{k:03d}.png") for k in range(4)])
    assert labelled_images(path, [run])[0]
    for read in (lambda: labelled_images(path, [run], ANEW), lambda: HumanLabels.load(path, ANEW)):
        with pytest.raises(ValueError, match=r"labels\.csv.*give the one that it was labelled by \(--define FILE\)"):
            read()
    older = put(tmp_path, "older.csv", "file,attribute,group\n000.png,gender,woman\n")
    assert HumanLabels.load(older, ANEW).label("gender", "000.png").label == "woman"


def test_a_folder_is_asked_again_by_another_definition(tmp_path: Path) -> None:
    folder, listed = LabelFolder(tmp_path / "faces.labels"), []
    for each in (0, 1, 2):
        path = tmp_path / f"{each}.png"
        path.write_bytes(picture_file(each))
        listed.append((InnerFile(tmp_path, path.name), "", "", None, None))
    first, again, other = (folder.register(each, listed, "faces").label_set for each in (GENDER, GENDER, OTHER))
    assert first.id == again.id != other.id


def test_a_stream_and_the_card_count_labels_of_their_definition(empty: Studio) -> None:
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 60)
    files = [each.image for each in pictures]
    target = Policy.from_sentence("nurse: half women", ANEW).rules[0].targets[0]
    drawn(empty.server, ["woman"] * 30 + ["man"] * 30, files=files)
    drawn(empty.server, ["woman"] * 30 + ["man"] * 30, files=files, target=target)
    sets = sets_of(database, data)
    made = sets.add("old", GENDER, pictures, second=1.0)
    rate(database, made, "anna", *["man"] * 40)
    found = {flow.labels for flow in flows(empty.server)}
    assert found == {40, 0}
    other = sets.add("new", OTHER, pictures, second=1.0)
    rate(database, other, "anna", *["woman"] * 20)
    seen = {flow.labels: flow for flow in flows(empty.server)}
    assert seen.keys() == {40, 20}
    shares = [seen[labels].groups[0].people for labels in (40, 20)]
    assert [people and round(people[0], 1) for people in shares] == [0.0, 1.0]
    first = rate(database, made, "ben", "woman")[0]
    Adjudications(database, made).decide(first, "woman", why="a test", by="key_1")
    everywhere = DecidedEverywhere(database)
    assert everywhere.of("gender", BUILT_IN).every[first].answer == "woman"
    assert all(one.how == "agreed" for one in everywhere.of("gender", OTHER.digest).every.values())
    assert [(one.attribute, one.pictures) for one in agreement(database)] == [("gender", 40), ("gender", 20)]
