import dataclasses
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, selection_rate
from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.audit.deviations import deviations
from fair_diffusion.audit.lines import relation, summarize
from fair_diffusion.audit.table import audit_rows, deviation, joint_groups, joint_labels
from fair_diffusion.audit.tally import Tally
from fair_diffusion.statistics.clustered import clustered_bounds
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.statistics.metrics import deviation_ratio, fd, noise_floor, pairwise_bias, smoothed_kl
from fair_diffusion.statistics.stopping import anytime

HALF = {"woman": 0.5, "man": 0.5}


def tally(
    woman: int,
    man: int,
    unknown: int = 0,
    concept: str = "doctor",
    source: str = "plain",
    target: dict[str, float] | None = None,
) -> Tally:
    counts = {"woman": woman, "man": man}
    return Tally(source=source, concept=concept, attribute="gender", counts=counts, unknown=unknown, target=target)


@given(
    counts=st.lists(st.integers(0, 300), min_size=2, max_size=6).filter(any),
    unknown=st.integers(0, 50),
    play=st.integers(1, 6),
)
def test_lines_agree_with_the_audit_table(counts: list[int], unknown: int, play: int) -> None:
    groups = [f"g{k}" for k in range(len(counts))]
    played = min(play, len(groups))
    target = {group: 1 / played if k < played else 0.0 for k, group in enumerate(groups)}
    named = dict(zip(groups, counts, strict=True))
    lines = summarize([Tally(source="s", concept="c", attribute="x", counts=named, unknown=unknown, target=target)])
    labels = [*(group for group, count in named.items() for _ in range(count)), *[None] * unknown]
    rows = audit_rows(labels, attribute="x", groups=groups, target=list(target.values()))
    expected = deviation(rows)
    for line, row in zip(lines, rows, strict=True):
        for name in ("attribute", "group", "count", "unknown", "share", "target", "verdict"):
            assert getattr(line, name) == getattr(row, name)
        assert (line.low, line.high) == pytest.approx((row.low, row.high), abs=1e-12)
        assert line.n == len(labels)
        assert line.gap == pytest.approx(row.share - target[row.group])
        assert line.noise_floor == expected["noise_floor"]


def test_without_a_target_the_uniform_one_stands_in_and_is_marked() -> None:
    lines = summarize([tally(30, 10), tally(30, 10, concept="nurse", target={"woman": 0.75, "man": 0.25})])
    assert [(line.target, line.assumed, line.gap) for line in lines] == [
        (0.5, True, 0.25),
        (0.5, True, -0.25),
        (0.75, False, 0.0),
        (0.25, False, 0.0),
    ]


@pytest.mark.parametrize(
    ("share", "reference", "groups", "expected"),
    [
        (0.30, 0.32, 2, "reflected"),
        (0.36, 0.30, 2, "mitigated"),
        (0.24, 0.30, 2, "amplified"),
        (0.80, 0.30, 2, "amplified"),
        (0.65, 0.30, 2, "mitigated"),
        (0.75, 0.25, 2, "mitigated"),
        (0.10, 0.20, 4, "amplified"),
        (0.40, 0.20, 4, "amplified"),
        (0.25, 0.40, 4, "mitigated"),
    ],
)
def test_relation_to_a_reference(share: float, reference: float, groups: int, expected: str) -> None:
    assert relation(share, reference, groups=groups) == expected


def test_the_relation_is_that_of_the_images_that_could_be_read() -> None:
    reference = [tally(40, 60, source="data")]
    (woman, man) = summarize([tally(20, 30, unknown=50)], reference=reference)
    assert (woman.share, woman.reference, woman.relation) == (0.2, 0.4, "reflected")
    assert (man.share, man.reference, man.relation) == (0.3, 0.6, "reflected")
    (unread, _) = summarize([tally(0, 0, unknown=50)], reference=reference)
    assert (unread.reference, unread.relation) == (0.4, None)
    (alone, _) = summarize([tally(20, 30, concept="nurse")], reference=reference)
    assert (alone.reference, alone.relation) == (None, None)


def test_a_group_out_of_play_does_not_shift_the_middle() -> None:
    counts = {"woman": 42, "man": 58, "androgynous": 0}
    target = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}
    made = [Tally(source="plain", concept="doctor", attribute="gender", counts=counts, target=target)]
    (woman, man, _) = summarize(made, reference=[tally(35, 65, source="data")])
    assert woman.relation == man.relation == "mitigated"


def test_a_source_drawn_until_sure_has_intervals_that_hold_then() -> None:
    made = [tally(40, 60), tally(40, 60, source="other"), tally(40, 50, 10, concept="nurse")]
    plain, stopped = summarize(made), summarize(made, stopped={"plain": 0.05})
    assert [(line.low, line.high) for line in stopped[:2]] == anytime([40, 60])
    assert stopped[2:4] == plain[2:4]
    fewest, most = anytime([40, 50], n=100), anytime([50, 40], n=100)  # ten unread images may show either
    assert [(line.low, line.high) for line in stopped[4:]] == [
        (fewest[0][0], most[0][1]),
        (fewest[1][0], anytime([60, 40], n=100)[0][1]),
    ]


def test_unread_images_give_bounds_and_no_miss() -> None:
    """400 women and 400 men of 1,000: each has 40 to 60 %, whatever the 200 unread images show."""
    lines = summarize([tally(400, 400, 200, target=HALF)])
    ends = (0.4, wilson(400, 1000)[0], wilson(600, 1000)[1])
    assert [(line.share, line.low, line.high) for line in lines] == [ends, ends]
    assert {line.verdict for line in lines} == {"cannot tell"}
    assert {line.verdict for line in summarize([tally(100, 700, 200, target=HALF)])} == {"misses"}
    assert {line.verdict for line in summarize([tally(4990, 4990, 20, target=HALF)])} == {"meets"}


def test_joint_groups_are_summed_up_like_any_other() -> None:
    rng = np.random.default_rng(0)
    gender = [str(label) for label in rng.choice(["woman", "man"], 400)]
    tone = [str(label) for label in rng.choice(["light", "dark"], 400, p=[0.7, 0.3])]
    joint = joint_labels(gender, tone)
    groups = joint_groups(["woman", "man"], ["light", "dark"])
    counts = {group: joint.count(group) for group in groups}
    lines = summarize([Tally(source="s", concept="c", attribute="gender × skin_tone", counts=counts)])
    assert sum(line.share for line in lines) == pytest.approx(1)
    women = sum(line.share for line in lines if line.group.startswith("woman"))
    assert women == pytest.approx(gender.count("woman") / 400)


def test_shares_agree_with_fairlearn() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"concept": rng.choice(["doctor", "nurse", "pilot"], 900), "woman": rng.integers(0, 2, 900)})
    metric = MetricFrame(
        metrics={"share": selection_rate},
        y_true=frame["woman"],
        y_pred=frame["woman"],
        sensitive_features=frame["concept"],
    )
    women = frame.groupby("concept")["woman"].agg(["sum", "count"])
    made = [tally(int(row["sum"]), int(row["count"] - row["sum"]), concept=str(name)) for name, row in women.iterrows()]
    shares = {line.concept: line.share for line in summarize(made) if line.group == "woman"}
    assert shares == pytest.approx(metric.by_group["share"].to_dict())
    assert max(shares.values()) - min(shares.values()) == pytest.approx(metric.difference()["share"])


def test_deviations_are_means_over_concepts() -> None:
    made = [
        tally(30, 70, target=HALF),
        tally(45, 45, unknown=10, concept="nurse", target=HALF),
        tally(5, 5, concept="pilot", source="instructed"),
    ]
    plain, instructed = deviations(made)
    assert (plain.source, plain.concepts, plain.n, plain.unknown, plain.assumed) == ("plain", 2, 200, 10, False)
    assert plain.tv_mean == pytest.approx((0.2 + 0.1) / 2)
    assert (plain.tv_low, plain.tv_high) == (None, None)  # two concepts do not tell how much concepts differ
    assert plain.process is not None
    assert 0.05 < plain.process < plain.tv_mean
    assert (plain.process_low, plain.process_high) == (None, None)
    assert plain.tv_worst == pytest.approx(0.2)
    assert plain.worst_concept == "doctor"
    assert plain.kl_mean == pytest.approx((0.3 * math.log(0.6) + 0.7 * math.log(1.4)) / 2)
    assert plain.fd_mean == pytest.approx(fd([0.3, 0.7], [0.5, 0.5]) / 2)
    assert plain.pairwise_bias_mean == pytest.approx(pairwise_bias([0.3, 0.7]) / 2)
    assert plain.deviation_ratio_mean == pytest.approx(deviation_ratio([0.3, 0.7]) / 2)
    assert plain.noise_floor == pytest.approx(noise_floor([0.5, 0.5], 100))
    assert plain.inside_band == plain.within_chance == 1
    smoothed = [smoothed_kl([30, 70], [0.5, 0.5]), smoothed_kl([45, 45], [0.5, 0.5])]
    assert plain.smoothed_kl_mean == pytest.approx(sum(smoothed) / 2)
    assert (instructed.concepts, instructed.assumed) == (1, True)
    assert (instructed.tv_low, instructed.tv_high) == (None, None)


def phrased(*women: int, n: int = 20) -> Tally:
    rows = tuple((woman, n - woman, 0) for woman in women)
    return replace(tally(sum(women), n * len(women) - sum(women), target=HALF), phrasings=rows)


def test_five_phrasings_are_clusters_and_four_are_not() -> None:
    five, four = phrased(2, 18, 10, 4, 16), phrased(2, 18, 10, 10)
    line, _ = summarize([five])
    assert (line.low, line.high) == tuple(float(end) for end in clustered_bounds([2, 18, 10, 4, 16], 20))
    assert line.phrasings == 5
    alone, _ = summarize([four])
    assert (alone.low, alone.high) == wilson(40, 80)
    assert alone.phrasings == 0
    (stopped, _) = summarize([five], stopped={"plain": 0.05})
    assert (stopped.low, stopped.high) == anytime([50, 50])[0]
    many = [replace(five, concept=str(k)) for k in range(6)]
    clustered, images = (deviations(own)[0] for own in (many, [replace(own, phrasings=()) for own in many]))
    assert clustered.tv_mean == images.tv_mean == 0
    assert clustered.process_high == images.process_high  # of the observed deviations, which are the same
    with pytest.raises(ValueError, match=r"phrasings that do not sum to \[50, 50, 0\]"):
        summarize([replace(five, phrasings=five.phrasings[:4])])


def test_a_process_is_measured_over_all_groups_of_a_source() -> None:
    rng = np.random.default_rng(0)
    draws = rng.multinomial(100, [0.6, 0.3, 0.1], 8).tolist()
    made = [tally(woman, man, unknown, concept=str(k), target=HALF) for k, (woman, man, unknown) in enumerate(draws)]
    (found,) = deviations(made)
    assert found.process is not None
    assert found.process_low is not None
    assert found.process_high is not None
    assert found.process_low < 0.2 < found.process_high  # 0.1 women too many, 0.1 unknown, of 0.4 off in all
    assert found.process == pytest.approx(0.2, abs=0.03)
    other = replace(made[0], counts={"man": made[0].counts["man"], "woman": made[0].counts["woman"]})
    assert deviations([other, *made[1:]])[0].process == pytest.approx(found.process, abs=0.02)


def test_the_band_of_one_half() -> None:
    # 1.96 · √(0.25 / 100) is 0.098: 59 of 100 is inside, 60 is not.
    for woman, inside in ((59, 1), (60, 0), (41, 1), (40, 0)):
        (found,) = deviations([tally(woman, 100 - woman, target=HALF)])
        assert found.inside_band == inside


def test_the_band_of_several_groups_holds_for_all_of_them_together() -> None:
    rng = np.random.default_rng(0)
    target = {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.0}
    draws = rng.multinomial(400, list(target.values()), 2_000).tolist()
    made = [
        Tally(source="s", concept=str(k), attribute="x", counts=dict(zip(target, draw, strict=True)), target=target)
        for k, draw in enumerate(draws)
    ]
    (found,) = deviations(made)
    assert 0.94 <= found.inside_band / 2_000 <= 0.98


@pytest.mark.parametrize("n", [8, 30])
def test_chance_gives_95_of_100_whatever_the_target(n: int) -> None:
    rng = np.random.default_rng(0)
    target = {"a": 0.96, "b": 0.01, "c": 0.01, "d": 0.01, "e": 0.01}
    draws = rng.multinomial(n, list(target.values()), 2_000).tolist()
    made = [
        Tally(source="s", concept=str(k), attribute="x", counts=dict(zip(target, draw, strict=True)), target=target)
        for k, draw in enumerate(draws)
    ]
    (found,) = deviations(made)
    assert 0.94 <= found.within_chance / 2_000 <= 0.98
    # The band, which holds for each share by itself and for many images, says so of fewer.
    assert found.inside_band / 2_000 < 0.9


def test_figures_that_say_how_far_from_uniform_leave_out_groups_out_of_play() -> None:
    target = {"woman": 0.5, "man": 0.5, "androgynous": 0.0}
    counts = {"woman": 30, "man": 60, "androgynous": 10}
    (found,) = deviations([Tally(source="s", concept="c", attribute="gender", counts=counts, target=target)])
    assert found.pairwise_bias_mean == pytest.approx(1 / 3)
    assert found.parity_gap_mean == pytest.approx(1 / 6)
    assert found.deviation_ratio_mean == pytest.approx(1 / 3)
    assert found.kl_mean == math.inf
    assert found.smoothed_kl_mean == pytest.approx(smoothed_kl([30, 60, 10], [0.5, 0.5, 0.0]))
    assert found.inside_band == found.within_chance == 0


def test_where_nothing_could_be_read() -> None:
    (found,) = deviations([tally(0, 0, unknown=20)])
    assert found.tv_mean == 1
    assert (
        found.kl_mean
        is found.smoothed_kl_mean
        is found.fd_mean
        is found.pairwise_bias_mean
        is found.parity_gap_mean
        is found.deviation_ratio_mean
        is None
    )
    assert found.inside_band == found.within_chance == 0
    (found,) = deviations([tally(0, 0, unknown=20), tally(5, 15, concept="nurse")])
    assert found.fd_mean == pytest.approx(fd([0.25, 0.75], [0.5, 0.5]))


def test_a_hundred_thousand_images_in_thousands_of_tallies() -> None:
    rng = np.random.default_rng(0)
    women = rng.integers(0, 21, 5_000).tolist()
    made = [tally(woman, 20 - woman, concept=str(k), target=HALF) for k, woman in enumerate(women)]
    assert sum(line.count for line in summarize(made, reference=made)) == 100_000
    (found,) = deviations(made)
    assert found.tv_mean == pytest.approx(float(np.abs(np.array(women) / 20 - 0.5).mean()))
    assert found.tv_low is not None
    assert found.tv_high is not None
    assert found.tv_low < found.tv_mean < found.tv_high


def test_lines_and_deviations_are_plain_data() -> None:
    line, deviated = summarize([tally(1, 2)])[0], deviations([tally(1, 2), tally(2, 2, concept="nurse")])[0]
    for fields in (dataclasses.asdict(line), dataclasses.asdict(deviated)):
        assert {type(value) for value in fields.values()} <= {str, int, float, bool, type(None)}


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="plain: gender of 'doctor' is counted twice: add the counts up"):
        summarize([tally(1, 2), tally(3, 4)])
    with pytest.raises(ValueError, match="plain: gender of 'doctor' has no images: leave it out"):
        deviations([tally(0, 0)])
    with pytest.raises(ValueError, match="negative count"):
        summarize([tally(-1, 2)])
    with pytest.raises(ValueError, match="give one for each of"):
        summarize([tally(1, 2, target={"woman": 1.0})])
    with pytest.raises(ValueError, match="sum to 1"):
        summarize([tally(1, 2, target={"woman": 0.5, "man": 0.6})])
    with pytest.raises(ValueError, match="at least 2, zeros included"):
        summarize([Tally(source="s", concept="c", attribute="gender", counts={"woman": 3})])
    with pytest.raises(ValueError, match="the reference counts gender of 'doctor' twice: give one source"):
        summarize([tally(1, 2)], reference=[tally(1, 2), tally(1, 2, source="other")])
    other = Tally(source="data", concept="doctor", attribute="gender", counts={"female": 3, "male": 4})
    with pytest.raises(ValueError, match=r"the reference counts 'female' .* rename its groups to \['woman', 'man'\]"):
        summarize([tally(1, 2)], reference=[other])
