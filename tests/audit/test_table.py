import dataclasses
import math

import pytest

from fair_diffusion.audit.table import audit_rows, deviation, joint_groups, joint_labels
from fair_diffusion.statistics.intervals import simultaneous, wilson
from fair_diffusion.statistics.metrics import noise_floor

GENDER = ["woman", "man", "androgynous"]


def test_rows_count_every_image() -> None:
    labels = ["woman"] * 3 + ["man"] * 4 + [None]
    rows = audit_rows(labels, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0], quota=[4, 4, 0])
    assert [row.group for row in rows] == GENDER
    assert [row.count for row in rows] == [3, 4, 0]
    assert [row.quota for row in rows] == [4, 4, 0]
    assert [row.target for row in rows] == [0.5, 0.5, 0.0]
    assert all(row.unknown == 1 and row.attribute == "gender" for row in rows)
    assert [row.share for row in rows] == [3 / 8, 4 / 8, 0]
    assert sum(row.count for row in rows) + rows[0].unknown == len(labels)
    assert all(row.verdict == "cannot tell" for row in rows)


def test_two_groups_in_play_have_wilson_intervals() -> None:
    labels = ["woman"] * 10 + ["man"] * 20 + [None] * 2
    rows = audit_rows(labels, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
    # two images that could not be read may show any group
    ends = [(wilson(count, 32)[0], wilson(count + 2, 32)[1]) for count in (10, 20, 0)]
    assert [(row.low, row.high) for row in rows] == ends


def test_more_groups_have_simultaneous_intervals_over_all_images() -> None:
    labels = ["woman"] * 10 + ["man"] * 10 + ["androgynous"] * 10 + [None] * 2
    for target in ([1 / 3] * 3, None):
        rows = audit_rows(labels, attribute="gender", groups=GENDER, target=target)
        fewest, most = (simultaneous([count], n=32, level=1 - 0.05 / 3)[0] for count in (10, 12))
        assert [row.low for row in rows] == pytest.approx([fewest[0]] * 3)
        assert [row.high for row in rows] == pytest.approx([most[1]] * 3)


def test_verdicts() -> None:
    rows = audit_rows(["man"] * 60 + ["woman"] * 4, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
    assert [row.verdict for row in rows] == ["misses", "misses", "cannot tell"]
    rows = audit_rows(["man", "woman"] * 200, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
    assert [row.verdict for row in rows] == ["meets"] * 3
    rows = audit_rows(["man"], attribute="gender", groups=GENDER)
    assert [(row.target, row.quota, row.verdict) for row in rows] == [(None, None, None)] * 3


def test_rows_are_plain_data() -> None:
    (row, _) = audit_rows(["a", "b"], attribute="x", groups=["a", "b"], target=[0.5, 0.5], quota=[1, 1])
    assert list(dataclasses.asdict(row)) == [
        *("attribute", "group", "target", "quota", "count"),
        *("unknown", "share", "low", "high", "verdict"),
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.count = 2  # type: ignore[misc]


def test_unknown_images_count_as_deviation() -> None:
    exact = audit_rows(["woman", "man"] * 4, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
    assert deviation(exact) == {"tv": 0, "kl": 0, "noise_floor": noise_floor([0.5, 0.5], 8)}
    unread = audit_rows(["woman", "man"] * 3 + [None] * 2, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
    assert deviation(unread) == {
        "tv": pytest.approx(0.25),
        "kl": 0,
        "noise_floor": noise_floor([0.5, 0.5], 8),
    }


def test_divergence_is_infinite_where_the_target_rules_a_group_out_or_nothing_is_known() -> None:
    for labels in (["androgynous"], [None, None]):
        rows = audit_rows(labels, attribute="gender", groups=GENDER, target=[0.5, 0.5, 0])
        assert deviation(rows)["kl"] == math.inf
        assert deviation(rows)["tv"] == pytest.approx(1)


def test_joint_labels_and_groups() -> None:
    groups = joint_groups(["woman", "man"], ["light", "dark"])
    assert groups == ["woman × light", "woman × dark", "man × light", "man × dark"]
    labels = joint_labels(["woman", "man", None, "man"], ["dark", None, "light", "light"])
    assert labels == ["woman × dark", None, None, "man × light"]
    rows = audit_rows(labels, attribute="gender × skin_tone", groups=groups, target=[0.25] * 4)
    assert [row.count for row in rows] == [0, 1, 1, 0]
    assert rows[0].unknown == 2


def test_mistakes_are_named() -> None:
    def rows(
        labels: list[str | None],
        groups: tuple[str, ...] = ("woman", "man"),
        target: list[float] | None = None,
        quota: list[int] | None = None,
    ) -> None:
        audit_rows(labels, attribute="gender", groups=groups, target=target, quota=quota)

    with pytest.raises(ValueError, match="labels is empty"):
        rows([])
    with pytest.raises(ValueError, match=r"label 'female' is no group of gender: use .*, or None"):
        rows(["woman", "female"])
    with pytest.raises(ValueError, match="target has 3 values for 2 groups"):
        rows(["woman"], target=[0.5, 0.5, 0])
    with pytest.raises(ValueError, match="quota has 1 values for 2 groups"):
        rows(["woman"], quota=[1])
    with pytest.raises(ValueError, match="each once"):
        rows(["woman"], groups=("woman", "woman"))
    with pytest.raises(ValueError, match="gender has no target"):
        deviation(audit_rows(["woman"], attribute="gender", groups=["woman", "man"]))
    mixed = [
        *audit_rows(["woman"], attribute="gender", groups=["woman", "man"], target=[0.5, 0.5]),
        *audit_rows(["dark"], attribute="skin_tone", groups=["light", "dark"], target=[0.5, 0.5]),
    ]
    with pytest.raises(ValueError, match="call deviation once for each"):
        deviation(mixed)
    with pytest.raises(ValueError, match="call deviation once for each"):
        deviation([])
