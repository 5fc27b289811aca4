"""Keys, policies and images: what is stored, who may see it, and that every change is in the trail."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import pytest
from sqlalchemy import select, update

from fair_diffusion.policy import PolicyError
from fair_diffusion.service.database import Database, now
from fair_diffusion.service.images import Images
from fair_diffusion.service.keys import Keys
from fair_diffusion.service.limits import LimitError, Limits
from fair_diffusion.service.policies import AnotherActiveError, Policies
from fair_diffusion.service.tables import images, keys
from fair_diffusion.service.trail import changes

NURSES = "version: 1\nrules:\n  - concepts: [nurse]\n    targets: {gender: {woman: 50%, man: 50%}}\n"
PILOTS = NURSES.replace("nurse", "pilot")


def test_a_key_opens_until_it_is_revoked_and_is_stored_as_a_hash(database: Database) -> None:
    ours = Keys(database)
    secret, key = ours.add("studio", role="operator", limits=Limits(n=4))
    assert secret.startswith("fd-")
    assert ours.find(secret) == key
    assert (key.role, key.limits.n, key.limits.steps) == ("operator", 4, None)
    for wrong in ("", "fd-", secret[:-1], secret + "x", secret[3:], "fd-\udc80"):
        assert ours.find(wrong) is None
    with database.reading() as connection:
        (row,) = connection.execute(select(keys)).all()
    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(row)
    assert ours.revoke(key.id).revoked is not None
    assert ours.find(secret) is None
    with pytest.raises(ValueError, match="no valid key"):
        ours.revoke(key.id)
    assert [each.id for each in ours.all()] == [key.id]


def test_every_change_of_a_key_is_in_the_trail(database: Database) -> None:
    ours = Keys(database)
    _, operator = ours.add("chief", role="operator")
    secret, key = ours.add("app", by=operator.id)
    ours.limit(key.id, Limits(steps=30), by=operator.id)
    found = ours.find(secret)
    assert found is not None
    assert found.limits == Limits(steps=30)
    ours.revoke(key.id, by=operator.id)
    told = changes(database, subject=key.id)
    assert [(each.change, each.by) for each in told] == [
        ("key revoked", operator.id),
        ("limits changed", operator.id),
        ("key added", operator.id),
    ]
    assert told[1].details == {"limits": {"steps": 30}}
    assert all(abs(told[0].time - each.time) < 60 for each in told)
    assert len(changes(database)) == 4


def test_wrong_keys_and_limits_are_refused(database: Database) -> None:
    ours = Keys(database)
    for name in ("", "  ", "a\nb", "x" * 201):
        with pytest.raises(ValueError, match="the name of a key"):
            ours.add(name)
    with pytest.raises(ValueError, match="unknown role 'opertor'; did you mean 'operator'"):
        ours.add("x", role="opertor")
    for value in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="the limit steps is"):
            Limits(steps=value)  # type: ignore[arg-type]
    assert ours.all() == []
    few = Limits(n=4, pixels=64 * 64, steps=30)
    few.check(n=4, pixels=4096, steps=30)
    for asked, said in (({"n": 5}, "n is 5"), ({"pixels": 4097}, "pixels is 4097"), ({"steps": 31}, "steps is 31")):
        with pytest.raises(LimitError, match=said) as error:
            few.check(**asked)
        assert error.value.retry_after is None


def test_policies_have_versions_of_which_one_is_active(database: Database) -> None:
    ours = Policies(database)
    assert (ours.active(), ours.history(), ours.all()) == (None, [], [])
    first, second = ours.add(NURSES, by="key_1"), ours.add(PILOTS)
    assert ours.add(NURSES, by="key_2") == first
    assert ours.active() is None
    ours.activate(first.version, why="the council decided", by="key_1")
    ours.activate(second.version, why="pilots, too")
    active = ours.active()
    assert active == second
    assert active.policy.rules[0].concepts == ("pilot",)
    ours.activate(None, why="the trial is over")
    assert ours.active() is None
    assert [(each.version, each.by, each.why) for each in ours.history()] == [
        (None, "command line", "the trial is over"),
        (second.version, "command line", "pilots, too"),
        (first.version, "key_1", "the council decided"),
    ]
    assert [each.change for each in changes(database, subject=f"policy {first.version}")] == [
        "policy activated",
        "policy stored",
    ]
    assert [
        line for line in ours.diff(first.version, second.version) if line[:1] in "+-" and line[:2] not in "+++---"
    ] == [
        "-  - concepts: [nurse]",
        "+  - concepts: [pilot]",
    ]
    assert "+rules:" in ours.diff(None, first.version)


def test_a_policy_replaces_only_the_one_that_its_author_saw(database: Database) -> None:
    ours = Policies(database)
    first, second = ours.add(NURSES), ours.add(PILOTS)
    ours.activate(first.version, why="nothing was active", instead_of=None)
    for seen in (None, second.version):
        with pytest.raises(AnotherActiveError, match=f"version {first.version} is active, and not"):
            ours.activate(second.version, why="it is better", instead_of=seen)
    assert ours.active() == first
    ours.activate(None, why="the first is wrong", instead_of=first.version)
    with pytest.raises(AnotherActiveError, match="version none is active"):
        ours.activate(second.version, why="it is better", instead_of=first.version)
    assert [each.version for each in ours.history()] == [None, first.version]


def test_wrong_policies_are_refused_with_all_mistakes(database: Database) -> None:
    ours = Policies(database)
    with pytest.raises(PolicyError):
        ours.add(NURSES.replace("gender", "gendre"))
    stored = ours.add(NURSES)
    with pytest.raises(ValueError, match="no version 99"):
        ours.activate(99, why="x")
    with pytest.raises(ValueError, match="say why"):
        ours.activate(stored.version, why=" ")
    assert ours.history() == []


@pytest.mark.parametrize("kind", ["folder", "file", "objects"])
def test_images_are_found_by_hash_by_those_whose_they_are(database: Database, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "images"
    where: dict[str, str | Path] = {"folder": folder, "file": folder.as_uri(), "objects": f"memory:/{folder}"}
    ours = Images(database, where[kind])
    system = fsspec.filesystem("memory" if kind == "objects" else "file")
    digest = ours.put(b"picture", key="a", job="job_1")
    assert digest == hashlib.sha256(b"picture").hexdigest()
    assert ours.put(b"picture", key="b") == digest
    assert system.find(str(folder)) == [str(folder / digest[:2] / f"{digest}.png")]
    assert ours.get(digest) == ours.get(digest, key="b") == (b"picture", "image/png")
    for wrong, key in ((digest, "c"), ("0" * 64, None), ("../" + digest, None)):
        with pytest.raises(LookupError):
            ours.get(wrong, key=key)
    ours.delete(digest, key="a")
    assert ours.get(digest)[0] == b"picture"
    ours.delete(digest, key="b")
    assert system.find(str(folder)) == []
    with pytest.raises(LookupError):
        ours.get(digest)


def test_images_expire_by_the_databases_clock(database: Database, tmp_path: Path) -> None:
    ours = Images(database, tmp_path)
    short, kept = ours.put(b"short", media="image/webp", kept=10), ours.put(b"kept", media="image/jpeg")
    assert ours.expire() == 0
    with database.writing() as connection:
        connection.execute(update(images).values(expires=images.c.expires - 11))
    assert ours.expire() == 1
    assert ours.get(kept) == (b"kept", "image/jpeg")
    with pytest.raises(LookupError):
        ours.get(short)
    assert ours.get(ours.put(b"short", kept=10)) == (b"short", "image/png")
    with database.reading() as connection:
        left = connection.scalars(select(images.c.expires - now()).where(images.c.expires.is_not(None))).one()
    assert 0 < left <= 10


def test_an_image_that_cannot_be_written_is_nowhere(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Images(database, tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        ours.put(b"picture")
    monkeypatch.undo()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "sqlite" not in path.name]
    with pytest.raises(LookupError):
        ours.get(hashlib.sha256(b"picture").hexdigest())


def test_places_that_are_none_are_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no place for images"):
        Images(database, "nowhere://x/y")
    with pytest.raises(ValueError, match="media type is 'image/svg"):
        Images(database, tmp_path).put(b"x", media="image/svg+xml")
