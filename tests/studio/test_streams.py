"""Streams: what they show, what calls for a look, and what people see."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from browsing import Studio
from label_examples import GENDER, new_pictures, sets_of
from playwright.sync_api import Browser, Page, expect
from stream_jobs import drawn

from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_progress import progress
from fair_diffusion.service.label_queue import LabelQueue
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import Labels
from fair_diffusion.statistics.betting import anytime_share
from fair_diffusion.statistics.intervals import wilson
from fair_diffusion.studio.flows import flows


def test_a_stream_that_leaves_its_band_calls_for_a_look(empty: Studio) -> None:
    drawn(empty.server, ["woman"] * 50 + ["man"] * 50)
    (flow,) = flows(empty.server)
    assert flow.alarms == []
    assert flow.verdict == "cannot tell"
    drawn(empty.server, ["woman"] * 60)
    (flow,) = flows(empty.server)
    low, high = wilson(110, 160)
    assert flow.groups[0].interval == pytest.approx((low, high))
    assert flow.verdict == "misses"
    assert len(flow.alarms) == 1  # that of men would say the same
    assert "69\u00a0% of the images show women, as the judge reads them (" in flow.alarms[0]
    assert flow.eyes == "the judge"
    assert len(flow.images) == 100
    assert flow.images[0]["judged"] == {"gender": "woman"}


def test_an_alarm_of_two_groups_is_told_once_where_they_mirror_each_other(empty: Studio) -> None:
    """Unread images may show either group, so they change nothing. What people cannot tell shows none of the two."""
    files = drawn(empty.server, [*["woman"] * 12, *["man"] * 47, None] * 5)
    (flow,) = flows(empty.server)
    assert [text.partition(",")[0] for text in flow.alarms] == ["20\u00a0% of the images show women"]
    common: dict[str, Any] = {"rater": "key_r", "guideline": "1", "queue": "random", "probability": 0.5}
    for k, file in enumerate(random.Random(0).sample(files, 300)):
        answer = ("woman", "man", None)[k % 3]
        reason = None if answer else "cannot tell"
        Labels(empty.server.database).add(file, "gender", answer, reason=reason, **common)
    (flow,) = flows(empty.server)
    assert [text.split(" in ")[0] for text in flow.alarms[:2]] == ["people see women", "people see men"]


def test_unread_images_that_rise_and_readers_that_disagree_call_for_a_look(empty: Studio) -> None:
    drawn(empty.server, ["woman", "man"] * 25)
    drawn(empty.server, ["woman", "man", None, None, "man"] * 10)
    (flow,) = flows(empty.server)
    assert flow.alarms == ["more images cannot be read: 20 of the last 50, 0 of the 50 before"]
    drawn(empty.server, ["woman", "man"] * 50, perceived=["man", "man", "woman", "man"] * 25)
    (flow,) = flows(empty.server)
    assert flow.alarms == ["judge and perceiver disagree on 25 of the last 100 images"]


def test_shares_as_people_see_them_come_from_labels_that_were_drawn_at_random(empty: Studio) -> None:
    files = drawn(empty.server, ["woman"] * 30 + ["man"] * 30)
    labels = Labels(empty.server.database)
    common: dict[str, Any] = {"rater": "key_r", "guideline": "1"}
    labels.add(files[0], "gender", None, queue="correction", reason="not what was asked", **common)
    (flow,) = flows(empty.server)
    assert flow.groups[0].people is None
    for file in files:  # people see a man in every image
        labels.add(file, "gender", "man", queue="random", probability=1.0, **common)
    (flow,) = flows(empty.server)
    woman, man = flow.groups[0].people, flow.groups[1].people
    assert flow.labels == 60
    assert woman is not None
    assert man is not None
    assert woman[0] == pytest.approx(0.0)
    assert man[0] == pytest.approx(1.0)
    assert woman[1][1] < 0.25  # the judge's share is one half


def test_a_picture_counts_once_as_its_raters_or_an_adjudication_say(empty: Studio) -> None:
    """As on the pages of labels: ties and what cannot be told show no group, skipped pictures are left out."""
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 60)
    files = drawn(empty.server, ["woman"] * 30 + ["man"] * 30, files=[each.image for each in pictures])
    made = sets_of(database, data).add("a set", GENDER, pictures, second=0.0)
    labels, desk = Labels(database), Adjudications(database, made)

    def say(file: str, rater: str, answer: str | None, reason: str | None = None) -> None:
        first = rater == "key_a"
        told: dict[str, Any] = {"queue": "random", "probability": 1.0} if first else {"queue": "second"}
        labels.add(file, "gender", answer, reason=reason, rater=rater, guideline="1", label_set=made.id, **told)

    def sees(women: range, men: range, skipped: int = 1) -> None:
        """Of the first 20 images, in which the judge sees women, people see so in these, and men in those."""
        machine = [[1.0] * (20 + skipped), [0.0] * (20 + skipped)]
        human = [[float(k in one) for k in range(20)] + [math.nan] * skipped for one in (women, men)]
        (flow,) = flows(empty.server)
        expected = [anytime_share(human[k], machine[k], 30, 60) for k in range(2)]
        assert [each.people and each.people[:2] for each in flow.groups] == expected
        told = progress(database, made)
        assert (flow.labels, flow.skipped, told.labelled, told.skipped) == (20, skipped, 20, skipped)
        assert [each.labelled for each in told.groups[:2]] == [len(women), len(men)]

    for k, file in enumerate(files[:20]):
        say(file, "key_a", "woman" if k < 10 else "man" if k < 19 else None)
    sees(range(10), range(10, 19), skipped=0)
    say(files[20], "key_a", None, "no person")
    sees(range(10), range(10, 19))
    say(files[9], "key_b", "man")
    say(files[10], "key_b", "woman")
    sees(range(9), range(11, 19))
    desk.decide(files[9], "woman", why="seen at full size", by="key_c")
    desk.decide(files[10], "man", why="seen at full size", by="key_c")
    sees(range(10), range(10, 19))
    say(files[0], "key_b", "woman")
    labels.undo(labels.all(image=files[0])[0].id, rater="key_a")  # the picture was drawn at random all the same
    sees(range(10), range(10, 19))


def test_pictures_that_somebody_chose_are_left_out_and_counted(empty: Studio) -> None:
    """A set of images that look wrong is drawn at random in itself, and says nothing of the stream."""
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 60)
    files = drawn(empty.server, ["woman"] * 30 + ["man"] * 30, files=[each.image for each in pictures])
    made = sets_of(database, data).add("look wrong", GENDER, pictures[:10], second=1.0, chosen=True)
    for rater in ("key_a", "key_b"):
        queue = LabelQueue(database, made, chance=lambda: 1.0)
        while tasks := queue.next(rater):
            queue.label(rater, tasks[0].image, "man", guideline=made.guideline)
    stored = Labels(database).all(label_set=made.id)
    assert Counter((one.queue, one.probability) for one in stored) == {("chosen", None): 10, ("second", None): 10}
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.left_out) == (0, 10)
    assert [each.people for each in flow.groups] == [None, None]
    common: dict[str, Any] = {"rater": "key_r", "guideline": "1", "queue": "random", "probability": 0.5}
    for file in files[5:25]:  # five of them are chosen, too, and drawn at random all the same
        Labels(database).add(file, "gender", "man", **common)
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.left_out) == (20, 5)
    sets_of(database, data).remove(made.id)
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.left_out) == (20, 5)


def test_a_set_tells_of_the_pictures_that_it_draws_from(empty: Studio) -> None:
    """Images that came later are none of them, and sets that draw at different rates are not pooled."""
    database, data = empty.server.database, empty.server.settings.data
    pictures = new_pictures(database, data, 90)
    files = [each.image for each in pictures]
    drawn(empty.server, ["woman"] * 30 + ["man"] * 60, files=files)
    first = sets_of(database, data).add("the first", GENDER, pictures[:50], second=0.0)
    second = sets_of(database, data).add("the others", GENDER, pictures[50:], second=0.0)

    def label(made: LabelSet, places: range) -> None:
        for k in places:
            told: dict[str, Any] = {"queue": "random", "probability": 1.0, "label_set": made.id, "guideline": "1"}
            Labels(database).add(files[k], "gender", "woman", rater="key_a", **told)

    label(first, range(20, 36))  # the judge sees ten women among these
    label(second, range(50, 55))
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.labels_of, flow.left_out) == (16, 50, 5)
    assert flow.groups[0].people is not None
    assert flow.groups[0].people[:2] == anytime_share([1.0] * 16, [1.0] * 10 + [0.0] * 6, 30, 50)
    label(second, range(55, 70))  # now it has more
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.labels_of, flow.left_out) == (20, 40, 16)
    assert flow.groups[0].people is not None
    assert flow.groups[0].people[:2] == anytime_share([1.0] * 20, [0.0] * 20, 0, 40)
    sets_of(database, data).remove(second.id)  # nobody knows any more what it drew from
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.labels_of, flow.left_out) == (16, 50, 20)


def test_unread_images_count_at_both_ends(empty: Studio) -> None:
    """Half of 2,000 images cannot be read: nobody knows whether the target is met, as a report says, too."""
    drawn(empty.server, ["woman", None, "man", None] * 500)
    (flow,) = flows(empty.server)
    assert flow.unread == 1000
    for group in flow.groups[:2]:
        assert (group.share, group.interval) == (0.25, (wilson(500, 2000)[0], wilson(1500, 2000)[1]))
    assert (flow.verdict, flow.hidden, flow.alarms) == ("cannot tell", True, [])
    drawn(empty.server, ["woman", "man"] * 50)
    (flow,) = flows(empty.server)
    assert (flow.unread, flow.n) == (1000, 2100)


def labelled(empty: Studio, seen: dict[str, str | None]) -> None:
    """Labels of images that were drawn at random, in random order; None skips one."""
    for file in random.Random(0).sample([*seen], len(seen)):
        said: dict[str, Any] = {"answer": seen[file], "reason": None if seen[file] else "no person"}
        told: dict[str, Any] = {"rater": "key_r", "guideline": "1", "queue": "random", "probability": 0.5}
        Labels(empty.server.database).add(file, "gender", **said, **told)


def test_the_verdict_is_by_people_where_their_labels_are_enough(empty: Studio) -> None:
    """The judge reads half women, as asked. People see women in most of the images that it reads as men."""
    files = drawn(empty.server, ["woman", "man"] * 750)
    (flow,) = flows(empty.server)
    assert (flow.verdict, flow.eyes, flow.alarms) == ("meets", "the judge", [])
    labelled(empty, dict.fromkeys(files[:4], "woman"))
    (flow,) = flows(empty.server)
    assert (flow.verdict, flow.eyes, flow.alarms) == ("meets", "the judge", [])  # four labels tell nothing
    labelled(empty, {file: "man" if k % 4 == 1 else "woman" for k, file in enumerate(files[4:204])})
    (flow,) = flows(empty.server)
    assert (flow.verdict, flow.eyes) == ("misses", "people")
    deviation, contradiction = flow.alarms  # those of men would say the same
    assert deviation.startswith("people see women in ")
    assert contradiction.startswith("people contradict the judge: they see women in ")
    assert contradiction.endswith("of the images from which a set draws, and it reads 50\u00a0%")
    woman = flow.groups[0].people
    assert woman is not None
    assert woman.process[0] < woman.interval[0] < 0.75 < woman.interval[1] < woman.process[1]


def test_people_who_skip_what_shows_nobody_do_not_contradict_a_right_judge(empty: Studio) -> None:
    """Three of ten images show nobody, and the judge cannot read them: it is right, and so are people."""
    kinds: list[str | None] = ["woman", "man", "woman", "man", None, "woman", "man", None, "man", "woman", None]
    files = drawn(empty.server, kinds * 20)
    labelled(empty, dict(zip(files, kinds * 20, strict=True)))
    (flow,) = flows(empty.server)
    assert (flow.labels, flow.skipped, flow.unread) == (160, 60, 60)
    for group in flow.groups[:2]:
        assert group.people is not None
        assert group.people.share == pytest.approx(0.5)
        assert not group.people.contradicts
    assert flow.alarms == []


@pytest.mark.chromium
def test_the_page_of_streams(empty: Studio, browser: Browser, look: Callable[[Page, str], None]) -> None:
    page = empty.open(browser, "streams")
    expect(page.get_by_text("There is none yet")).to_be_visible()
    look(page, "streams-empty")
    files = drawn(empty.server, ["woman"] * 20 + ["man"] * 60 + [None] * 5)
    page.route("**/images/*", lambda route: route.fulfill(content_type="image/svg+xml", body=SQUARE))
    page.reload()
    expect(page.get_by_text("1 stream; 1 calls for a look")).to_be_visible()
    expect(page.get_by_text("misses its target, as the judge sees it")).to_be_visible()
    expect(page.get_by_text("24 % of the images show women, as the judge reads them")).to_be_visible()
    expect(page.get_by_role("row", name="could not be read 5 6 %")).to_be_visible()
    labelled(empty, {file: "man" if k < 40 else None for k, file in enumerate(random.Random(0).sample(files, 45))})
    page.reload()
    expect(page.get_by_text("misses its target, as people see it")).to_be_visible()
    expect(page.get_by_text("people see women in 0 % of the images")).to_be_visible()
    expect(page.get_by_text("people contradict the judge: they see women")).to_be_visible()
    expect(page.get_by_text("people labelled 40 and skipped 5 of 85 images")).to_be_visible()
    look(page, "streams")


SQUARE = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><rect width='9' height='9' fill='#9ab'/></svg>"
