"""Where weights are, and what is refused: no pickle is read, no code is run, and what is missing is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from original_format import save_original
from safetensors.torch import save_file

from fair_diffusion import FairPipeline
from fair_diffusion.models.hub import Hub
from fair_diffusion.models.loading import load, name_of, provenance
from fair_diffusion.models.weights import check_model, one_file
from fair_diffusion.perception import judge, pocket

MODEL = "nobody/no-such-model-anywhere"


@pytest.fixture(scope="module")
def saved(tiny_sd: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "sd"
    tiny_sd.save_pretrained(path)
    return path


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "sd"))


def refused(model: Any, said: str, **options: Any) -> None:
    """In one line, before anything of it is loaded."""
    with pytest.raises(ValueError, match=said) as error:
        load(model, **options)
    assert "\n" not in str(error.value)


def change_index(folder: Path, **entries: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | entries))


class Trap:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_pickled_weights_are_refused_and_not_read(folder: Path, tmp_path: Path, part: str) -> None:
    (weights,) = (folder / part).glob("*.safetensors")
    torch.save(Trap(tmp_path / "trace"), weights.with_suffix(".bin"))
    load(folder)  # beside safetensors a pickle does no harm
    weights.unlink()
    refused(folder, rf"only pickled weights for its {part} \({weights.stem}\.bin\).*save_pretrained\(NEW_FOLDER\)")
    assert not (tmp_path / "trace").exists()


def test_pickles_that_would_be_read_in_the_place_of_safetensors(folder: Path, tmp_path: Path) -> None:
    """What lies deeper, or beside safetensors of another name, counts as what is read: a pickle."""
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.rename(weights.with_name("other.safetensors"))
    torch.save(Trap(tmp_path / "trace"), weights.with_suffix(".bin"))
    refused(folder, "only pickled weights for its unet")
    (folder / "unet" / "deep").mkdir()
    weights.with_suffix(".bin").rename(folder / "unet" / "deep" / "model.bin")
    refused(folder, r"only pickled weights for its unet \(deep.model\.bin\)")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("ending", [".ckpt", ".bin", ".pt", ".pth", ".pkl"])
def test_pickled_files_are_refused_and_not_read(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"model{ending}"
    torch.save(Trap(tmp_path / "trace"), file)
    refused(file, "is a pickle, which can run code when it is read, and is refused; convert it")
    assert not (tmp_path / "trace").exists()


def test_a_pickle_under_another_name_is_not_read(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    torch.save(Trap(tmp_path / "trace"), file)
    refused(file, "it is damaged")
    refused(file, "cannot be loaded", config=str(saved))
    refused(saved, "it must be a LoRA", lora=[str(file)])
    refused(saved, "it must be a textual inversion", textual_inversion=[str(file)])
    refused(saved, "is not a .safetensors file", lora=[str(file.rename(tmp_path / "model.txt"))])
    refused(saved, "names no .safetensors file", lora=["nobody/x/model.txt"])
    assert not (tmp_path / "trace").exists()


def test_code_of_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    code = f"from pathlib import Path; Path({str(tmp_path / 'trace')!r}).touch()\nclass Mine: pass"
    (folder / "mine.py").write_text(code)
    change_index(folder, _class_name=["mine", "Mine"])
    refused(folder, "its pipeline is code of its own, which is not run; if you trust it, load it yourself")
    (folder / "unet" / "mine.py").write_text(code)
    change_index(folder, _class_name="StableDiffusionPipeline", unet=["mine", "Mine"])
    refused(folder, r"its unet is code of its own \(mine\.py\)")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (["transformers", "AutoTokenizer"], r"its tokenizer is a class that its files choose \(AutoTokenizer\)"),
        (["auto_pipeline", "AutoPipelineForText2Image"], "a class that its files choose"),
        (["diffusers", "DiffusionPipeline"], r"its tokenizer is a whole pipeline, with parts \(DiffusionPipeline\)"),
        (["stable_diffusion", "StableDiffusionPipeline"], "a whole pipeline"),
    ],
)
def test_components_that_can_bring_code(folder: Path, entry: list[str], said: str) -> None:
    change_index(folder, tokenizer=entry)
    refused(folder, said)


def test_a_tokenizer_whose_reader_is_missing_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import utils

    (folder / "tokenizer" / "spiece.model").touch()
    monkeypatch.setattr(utils, "is_sentencepiece_available", lambda: False)
    load(folder)  # beside tokenizer.json it is not read
    (folder / "tokenizer" / "tokenizer.json").unlink()
    refused(folder, r"its tokenizer as spiece\.model alone, .*pip install 'fair-diffusion\[t5\]'")


def test_the_configuration_of_a_single_file_is_checked_too(
    folder: Path, tiny_sd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the classes of all parts, and parts that the file lacks are read from it."""
    save_original(tiny_sd, tmp_path / "one.safetensors")
    monkeypatch.syspath_prepend(tmp_path)
    code = f"from pathlib import Path; Path({str(tmp_path / 'trace')!r}).touch()\nclass Mine: pass"
    (tmp_path / "trap_of_a_model.py").write_text(code)
    index = json.loads((folder / "model_index.json").read_text())
    change_index(folder, unet=["trap_of_a_model", "Mine"])
    refused(tmp_path / "one.safetensors", "its unet is code of its own", config=str(folder))
    change_index(folder, unet=index["unet"], tokenizer=["transformers", "AutoTokenizer"])
    refused(tmp_path / "one.safetensors", "AutoTokenizer", config=str(folder))
    change_index(folder, tokenizer=index["tokenizer"], scheduler=["diffusers", "DDPMPipeline"])
    refused(tmp_path / "one.safetensors", "a whole pipeline", config=str(folder))
    change_index(folder, scheduler=index["scheduler"])
    (weights,) = (folder / "text_encoder").glob("*.safetensors")
    weights.unlink()
    torch.save(Trap(tmp_path / "trace"), folder / "text_encoder" / "pytorch_model.bin")
    refused(tmp_path / "one.safetensors", "only pickled weights for its text_encoder", config=str(folder))
    assert not (tmp_path / "trace").exists()


def test_what_is_not_supported_or_not_whole(folder: Path, tmp_path: Path) -> None:
    change_index(folder, _class_name="KandinskyPipeline")
    refused(folder, "is a KandinskyPipeline, which is not supported; StableDiffusionPipeline, ")
    change_index(folder, _class_name="StableDiffusionPipeline")
    shutil.rmtree(folder / "vae")
    refused(folder, "cannot be loaded: .*its folder is incomplete")
    refused(tmp_path, "it has no readable model_index.json")
    (folder / "model_index.json").write_text("{")
    refused(folder, "it has no readable model_index.json")
    (tmp_path / "notes.txt").touch()
    refused(tmp_path / "notes.txt", "is not a .safetensors file")


def test_single_files_that_hold_no_model(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    refused(tmp_path / "broken.safetensors", "it is damaged")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "cannot be loaded: .*if it lacks text encoders", config=str(saved))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A hub that cannot be reached; how often it was asked."""
    asked: list[int] = []

    def fail(self: Any, model: str, **options: Any) -> None:
        asked.append(1)
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    return asked


def test_without_a_network_it_is_one_line_at_once(offline: list[int], tmp_path: Path) -> None:
    refused(
        MODEL, f"'{MODEL}' is no file or folder here and not cached, and the hub cannot be reached; correct the name"
    )
    assert len(offline) == 1
    with pytest.raises(ValueError, match=r"the hub cannot be reached.*the hub said: ConnectionError: no network"):
        FairPipeline.from_pretrained(MODEL, perceiver="pocket", judge="judge")
    assert len(offline) == 2
    save_file({"a": torch.zeros(1)}, tmp_path / "one.safetensors")
    refused(tmp_path / "one.safetensors", "needs a configuration .*not cached", config=MODEL)
    with pytest.raises(ValueError, match="the hub cannot be reached"):
        one_file(f"{MODEL}/lora.safetensors", "x.safetensors", Hub())


def test_what_the_hub_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(error: Any) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise error.__new__(error)

        owner: Any = huggingface_hub.HfApi if error is RepositoryNotFoundError else huggingface_hub
        monkeypatch.setattr(owner, "model_info" if owner is huggingface_hub.HfApi else "hf_hub_download", fail)

    say(RepositoryNotFoundError)
    refused(MODEL, f"the hub has no model '{MODEL}' that you may see.*hf auth login")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=[]))
    say(GatedRepoError)
    refused(MODEL, "needs its licence accepted")


def test_a_model_of_the_hub(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the hub, and that safetensors are and foreign code is not."""
    commit = tmp_path / "models--nobody--x" / "snapshots" / "0123abc"
    shutil.copytree(saved, commit)
    change_index(commit, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    asked: dict[str, Any] = {}

    def download(model: str, **options: Any) -> str:
        asked.update(options, model=model)
        return str(commit)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=[]))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda model, file, local_files_only: str(commit / file))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", download)
    pipeline = load("nobody/x")
    assert asked == {
        "model": "nobody/x",
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": False,
        "safety_checker": None,
        "requires_safety_checker": False,
    }
    assert pipeline.safety_checker is None
    assert provenance(pipeline, "nobody/x") == "commit 0123abc"
    assert name_of(pipeline) == "nobody/x"


def test_the_hub_is_asked_once_about_each_model(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: list[int]
) -> None:
    """Check, weights, LoRA and record share what it said; where it is silent, what is cached is all loaded."""
    commits = {
        name: tmp_path / f"models--{name.replace('/', '--')}" / "snapshots" / "0123abc" for name in ("a/b", "a/c")
    }
    shutil.copytree(saved, commits["a/b"])
    commits["a/c"].mkdir(parents=True)
    save_file({"<mine>": torch.zeros(1, 32)}, commits["a/c"] / "learned_embeds.safetensors")
    asked: list[str] = []

    def fetch(model: str, file: str, local_files_only: bool) -> str:
        asked.append(f"{model}/{file}")
        return str(commits[model] / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", lambda model, **_: str(commits[model]))
    told: dict[str, Any] = {"perceiver": pocket.load(), "judge": judge.load(), "textual_inversion": "a/c"}
    pipe = FairPipeline.from_pretrained("a/b", **told)
    assert pipe.weights.startswith("commit 0123abc, textual inversion a/c sha256 ")
    assert len(offline) == 1
    assert asked == ["a/b/model_index.json", "a/c/learned_embeds.safetensors"]

    def hold(self: Any, model: str, **_: Any) -> Any:
        offline.append(1)
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename="learned_embeds.safetensors")])

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", hold)
    FairPipeline.from_pretrained("a/b", **told)
    assert len(offline) == 1 + 2


def test_one_file_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def holds(*files: str) -> None:
        siblings = [SimpleNamespace(rfilename=file) for file in files]
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=siblings))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda model, file, local_files_only: f"/{model}/{file}")
    holds("README.md", "mine.safetensors")
    assert one_file("nobody/x", "usual.safetensors", Hub()) == Path("/nobody/x/mine.safetensors")
    holds("a.safetensors", "usual.safetensors")
    assert one_file("nobody/x", "usual.safetensors", Hub()) == Path("/nobody/x/usual.safetensors")
    assert one_file("nobody/x/deep/a.safetensors", "usual.safetensors", Hub()) == Path("/nobody/x/deep/a.safetensors")
    holds("a.safetensors", "b.safetensors")
    with pytest.raises(ValueError, match=r"holds a\.safetensors, b\.safetensors; name one of these"):
        one_file("nobody/x", "usual.safetensors", Hub())
    holds("old.bin")
    with pytest.raises(ValueError, match=r"old\.bin is a pickle"):
        one_file("nobody/x", "usual.safetensors", Hub())
    holds("README.md")
    with pytest.raises(ValueError, match="holds no safetensors file"):
        one_file("nobody/x", "usual.safetensors", Hub())


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "./gone"])
def test_what_can_be_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="unknown model"):
        check_model(name, Hub())
