"""Where Ray is not there, or no cluster is, it is one line with the mend."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from fair_diffusion.scale import ray_actors
from fair_diffusion.scale.ray_actors import RayActors


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(ValueError, match=r'pip install "fair-diffusion\[scale\]"'):
        RayActors("auto", "sqlite:///x")


def test_no_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nmore")

    monkeypatch.setattr(ray_actors, "ray_library", lambda: SimpleNamespace(is_initialized=lambda: False, init=init))
    said = r"no Ray cluster at auto \(Could not find any running Ray instance\.\); start one: ray start --head"
    with pytest.raises(ValueError, match=said), RayActors("auto", "sqlite:///x"):
        pass


def test_several_machines_need_a_database_that_all_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda **_: None,
        nodes=lambda: [{"Alive": True}, {"Alive": True}, {"Alive": False}],
        shutdown=lambda: ended.append(True),
    )
    monkeypatch.setattr(ray_actors, "ray_library", lambda: ray)
    with (
        pytest.raises(ValueError, match=r"2 machines need one database; give --database postgresql\+psycopg"),
        RayActors("ray://head:10001", "sqlite:///x"),
    ):
        pass
    assert ended == [True]
