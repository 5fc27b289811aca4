"""Ways by their names, and files that were learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fair_diffusion.compare.page import made
from fair_diffusion.compare.way import PLAIN, WAYS, read_ways


def learnt(path: Path, **said: str) -> Path:
    save_file({"w": np.zeros(2, np.float32)}, path, said)
    return path


def test_names_are_read_in_order() -> None:
    assert [way.name for way in read_ways(["plain, switch", "semantic-coin"])] == ["plain", "switch", "semantic-coin"]
    assert WAYS["semantic-coin"].coin
    assert (WAYS["semantic"].control, WAYS["semantic-quota"].control) == ("natural-first", "all")
    assert not PLAIN.instructed


def test_ways_that_assign_no_group_say_so() -> None:
    none = {"plain", "hint", "embedding", "distribution", "latents-mean", "latents-confident"}
    assert {name for name, way in WAYS.items() if not way.assigns} == none
    assert "no group assigned, loss mean" in made(WAYS["latents-mean"])


def test_files_say_what_they_took(tmp_path: Path) -> None:
    file, silent = learnt(tmp_path / "a.safetensors", steps="40", seconds="2.5"), learnt(tmp_path / "b.safetensors")
    lora, other, vectors = read_ways([f"lora={file},other={silent}", f"bottleneck={file}"])
    assert (lora.name, lora.method, lora.options["file"], lora.instructed) == ("lora", "edit", file, False)
    assert (lora.training_steps, lora.training_seconds) == (40, 2.5)
    assert (other.training_steps, other.training_seconds) == (None, None)
    assert (vectors.method, vectors.instructed, dict(vectors.options)) == ("bottleneck", True, {"file": file})
    heads = read_ways([f"distribution-heads={file}"])[0]
    assert (heads.method, heads.assigns, dict(heads.options)) == ("distribution", False, {"file": file})


def test_what_makes_the_images_is_the_content_of_files_and_not_their_place(tmp_path: Path) -> None:
    one, two = (learnt(tmp_path / f"{name}.safetensors", by=said) for name, said in (("a", "x"), ("b", "x")))
    assert read_ways([f"e={one}"])[0].identity == read_ways([f"f={two}"])[0].identity
    learnt(two, by="y")
    assert read_ways([f"e={one}"])[0].identity != read_ways([f"f={two}"])[0].identity
    every = [str(way.identity) for way in WAYS.values()]
    assert len(set(every)) == len(every)


def test_a_file_is_hashed_once_however_often_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []

    def counted(path: Path) -> str:
        hashed.append(path)
        return "h"

    monkeypatch.setattr("fair_diffusion.compare.way.sha256", counted)
    file = learnt(tmp_path / "a.safetensors")
    way = read_ways([f"e={file}"])[0]
    assert way.identity == way.identity
    assert way.identity["options"] == {"file": "h"}
    assert hashed == [file]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no method"),
        ([" , "], "there is no method"),
        (["magic"], "unknown method 'magic'"),
        (["plain,plain"], "'plain' is named twice"),
        (["=x"], "gives a file to ''"),
        (["switch=x"], "gives a file to 'switch', which takes none"),
        (["bottleneck"], "needs a file that was learnt; name it: bottleneck=FILE"),
        (["uce=gone"], "'gone' is not there"),
        (["uce=text"], "no safetensors file"),
    ],
)
def test_wrong_words(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("this is no file of weights at all")
    with pytest.raises(ValueError, match=said):
        read_ways(words)
