"""Several models of one worker, LoRAs that requests ask for, and batches no larger than what pays."""

from __future__ import annotations

import copy
import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from lora_file import make_lora
from PIL import Image
from sqlalchemy import select
from untrained import pipe_of, weights

from fair_diffusion.cli.serving_models import loras_of
from fair_diffusion.pipeline import FairPipeline
from fair_diffusion.service import models as module
from fair_diffusion.service.batch_cost import BatchCost, measured
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.image_request import _unknown
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.models import Models
from fair_diffusion.service.tables import workers
from fair_diffusion.service.worker import Worker, WorkerSettings
from fair_diffusion.service.worker_kind import kind_of


@pytest.fixture
def place(tmp_path: Path) -> Any:
    database = Database(tmp_path / "service.sqlite")
    yield database, Images(database, tmp_path / "images")
    database.close()


def called(tiny_sd: Any, name: str) -> FairPipeline:
    pipe = pipe_of(copy.deepcopy(tiny_sd))
    pipe.name = name
    return pipe


def drawn(place: Any, models: Models, asked: list[str]) -> list[bytes]:
    """The pixels of one image for each model's name in `asked`, all of one seed, by one worker."""
    database, images = place
    jobs, put = Jobs(database), []
    for name in asked:
        body = DrawBody(prompt="a photo of a nurse", n=1, seed=3, steps=2, guidance=2.0, method="none")
        put.append(jobs.put(kind_of(name), body.stored(), lane=name)[0].id)
    worker = Worker(database, images, models, WorkerSettings(grace=60.0))

    drawing = threading.Thread(target=worker.run)
    drawing.start()
    for _ in range(3000):
        if all(jobs.get(job).over for job in put):
            break
        time.sleep(0.02)
    worker.stop()
    drawing.join()
    ended = [jobs.get(job) for job in put]
    assert [job.state for job in ended] == ["done"] * len(put), [job.reason for job in ended]
    files = [job.result["images"][0]["file"] for job in ended if job.result]  # they have the model's name in them
    return [Image.open(io.BytesIO(images.get(file)[0])).tobytes() for file in files]


def test_models_leave_memory_the_least_recently_used_first(tiny_sd: Any, place: Any) -> None:
    loaded: list[str] = []

    def load(name: str) -> FairPipeline:
        loaded.append(name)
        return called(tiny_sd, name)

    size = module._bytes(load("a"))
    loaded.clear()
    models = Models([lambda name=name: load(name) for name in "abc"], memory=2.5 * size)  # type: ignore[misc]
    models.open(4, measure=False)
    assert [model.name for model in models.served] == loaded == ["a", "b", "c"]
    for name in "cbab":  # b and c are there; a comes, and c goes
        assert models.take(kind_of(name))[1].name == name
    assert loaded == ["a", "b", "c", "a"]
    models.take(kind_of("c"))
    assert loaded[-1] == "c"
    models.take(kind_of("b"))
    assert loaded[-1] == "c"


def test_a_worker_draws_jobs_of_all_its_models(tiny_sd: Any, place: Any) -> None:
    models = Models([lambda: called(tiny_sd, "one"), lambda: called(tiny_sd, "two")], memory=1.0)
    models.open(4, measure=False)
    first, second = drawn(place, models, ["two", "one"])
    assert first == second  # the same weights and seed
    with place[0].reading() as connection:
        assert {row["name"] for row in connection.scalars(select(workers.c.model))} == {"one", "two"}


def test_two_models_of_one_name_are_refused(tiny_sd: Any) -> None:
    with pytest.raises(ValueError, match="two models are called 'tiny'"):
        Models([lambda: pipe_of(tiny_sd)] * 2).open(4, measure=False)


def test_a_lora_acts_for_the_requests_that_ask_for_it_alone(tiny_sd: Any, place: Any, tmp_path: Path) -> None:
    for name, seed in (("anime", 1), ("sketch", 2)):
        make_lora(copy.deepcopy(tiny_sd), tmp_path / name, seed)
    files = {name: tmp_path / name / "pytorch_lora_weights.safetensors" for name in ("anime", "sketch")}
    (alone,) = drawn(place, _opened(tiny_sd, {}), ["tiny"])
    models = _opened(tiny_sd, files)
    assert [model.name for model in models.served] == ["tiny", "tiny+anime", "tiny+sketch"]
    before, anime, after, sketch = drawn(place, models, ["tiny", "tiny+anime", "tiny", "tiny+sketch"])
    assert before == after
    assert len({before, anime, sketch}) == 3
    assert alone == before


def test_each_of_several_models_has_loras_of_its_own(tiny_sd: Any, place: Any, tmp_path: Path) -> None:
    for name, seed in (("anime", 1), ("sketch", 2)):
        make_lora(copy.deepcopy(tiny_sd), tmp_path / name, seed)
    anime, sketch = (tmp_path / name / "pytorch_lora_weights.safetensors" for name in ("anime", "sketch"))
    loads = [lambda name=name: called(tiny_sd, name) for name in ("one", "two", "three")]
    named = [{"style": anime}, {"style": sketch}, {}]
    models = Models(loads, named=named, memory=1.0)
    models.open(4, measure=False)
    names = [model.name for model in models.served]
    assert names == ["one", "one+style", "two", "two+style", "three"]
    one, one_style, two, two_style, three = drawn(place, models, names)
    assert one == two == three  # the same weights and seed
    assert len({one, one_style, two_style}) == 3
    (alone,) = drawn(place, _opened(tiny_sd, {"style": sketch}), ["tiny+style"])
    assert two_style == alone
    assert drawn(place, models, ["one+style"]) == [one_style]  # it left memory, and is loaded again with its own


def test_a_lora_says_which_of_several_models_it_is_for() -> None:
    models = ["org/sdxl", "/home/me/sd15"]
    assert loras_of(["anime=a.safetensors", "always.safetensors"], models[:1]) == [{"anime": "a.safetensors"}]
    words = ["org/sdxl+anime=a", "sd15+anime=b", "/home/me/sd15+sketch=dir+x=y", "dir+x/always.safetensors"]
    assert loras_of(words, models) == [{"anime": "a"}, {"anime": "b", "sketch": "dir+x=y"}]
    with pytest.raises(ValueError, match=r"which model it is for; name it org/sdxl\+anime or sd15\+anime"):
        loras_of(["anime=a"], models)
    with pytest.raises(ValueError, match="is for no --model; did you mean 'sd15'"):
        loras_of(["sd14+anime=a"], models)
    with pytest.raises(ValueError, match="names anime twice for one model"):
        loras_of(["sd15+anime=a", "/home/me/sd15+anime=b"], models)


def test_a_request_for_a_lora_of_another_model_is_told_whose_it_is() -> None:
    models = ("one", "one+anime", "one+sketch", "two")
    assert _unknown("two+anime", models) == "the model two has no LoRA of this name; use one+anime"
    assert _unknown("one+film", models) == "the model one has no LoRA of this name; it has one+anime, one+sketch"
    assert _unknown("two+film", models) == "the model two has no LoRA of this name; it has none"
    assert _unknown("three+anime", models) == "unknown model; did you mean 'one+anime'?"


def _opened(tiny_sd: Any, files: dict[str, Path]) -> Models:
    models = Models([lambda: pipe_of(copy.deepcopy(tiny_sd))], named=[files])
    models.open(4, measure=False)
    return models


def test_the_smallest_batch_of_which_no_larger_one_pays() -> None:
    assert BatchCost({1: 1.0, 2: 0.6, 4: 0.41, 8: 0.4}, 0).best == 4
    assert BatchCost({1: 1.0, 2: 0.99, 4: 1.2}, 0).best == 1
    assert BatchCost({1: 1.0, 2: 0.5, 4: 0.25, 6: 0.2}, 0).best == 6


def test_a_step_is_measured_by_the_size_of_the_batch(tiny_sd: Any) -> None:
    pipe = pipe_of(tiny_sd)
    before = weights(tiny_sd)
    found = measured(pipe, 6)
    assert list(found.seconds) == [1, 2, 4, 6]
    assert found.peak > 0
    assert min(found.seconds.values()) > 0
    assert list(measured(pipe, 8, memory=1.0).seconds) == [1]  # no room for two
    assert weights(tiny_sd) == before
