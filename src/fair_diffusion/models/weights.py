"""Where a model's weights are, and which are refused: only safetensors are read, and only code of diffusers is run.

A pickle (.bin, .ckpt, .pt, .pth, .pkl) runs code when it is read, and a model may bring a pipeline or component with
code of its own. Both are refused before any of it is read, with the mend. Every error is one line. Exports
`check_model`, `pipeline_of`, `one_file` and `one_line`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fair_diffusion.backbones import FAMILIES
from fair_diffusion.files.guarded import InnerFile, content
from fair_diffusion.models.hub import Hub
from fair_diffusion.models.parts import PICKLES, SAFE, check_class, check_part, own_code

INDEX = "model_index.json"
SETTINGS = ("*.json", "*.txt", "*.model")
"""Files of a model that are settings and vocabularies, without weights."""
LARGEST = 2**20
"""The most bytes of the index of a model."""


def check_model(model: str, hub: Hub) -> None:
    """Check that a model exists and is not refused, as far as that is known without its weights.

    Raises:
        ValueError: in one line, what is wrong.
    """
    path = Path(model)
    _check_file(path)
    if not path.is_file():
        _check_folder(model, _home(model, hub))


def pipeline_of(model: str, dtype: torch.dtype, config: str | None, hub: Hub) -> Any:
    """The diffusers pipeline of a hub id, a folder or a single safetensors file, on the processor."""
    path = Path(model)
    _check_file(path)
    if path.is_file():
        return _of_single_file(path, dtype, config, hub)
    if config is not None:
        raise ValueError(f"config {config!r} is for a single file, and {model!r} is not one; leave it out")
    folder = path if path.is_dir() else _fetched(model, hub)
    unread = _check_folder(model, folder, whole=True)
    import diffusers

    with one_line(model, "its folder is incomplete, or not as diffusers writes it"):
        return diffusers.DiffusionPipeline.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **unread
        )


def one_file(name: str, usual: str, hub: Hub) -> Path:
    """The one safetensors file of `name`: a file, a folder with it, or a hub model (OWNER/NAME, OWNER/NAME/FILE)."""
    path = Path(name)
    _check_file(path)
    if path.is_file():
        return path
    if path.is_dir():
        return path / _the_one(name, [file.name for file in path.iterdir()], usual)
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    model = f"{owner}/{repository}"
    files = hub.holds(model, asked=name)
    if file and not file.endswith(SAFE):
        raise ValueError(f"{name!r} names no {SAFE} file; name one, or the model alone")
    return hub.file(model, file or (usual if files is None else _the_one(name, files, usual)), asked=name)


@contextmanager
def one_line(name: str, mend: str, what: str = "") -> Iterator[None]:
    """Turn any error inside the block into a `ValueError` of one line.

    Args:
        name: the model, for the message.
        mend: for the message.
        what: what `name` is, if it is no model.
    """
    try:
        yield
    except Exception as error:  # libraries raise nearly every class of error on unexpected files
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(
            f"{what + ' ' if what else ''}{name!r} cannot be loaded: {said.rstrip('.:')}; {mend}"
        ) from error


def _check_file(path: Path) -> None:
    """Refuse pickles by their names, and other files that are not safetensors."""
    _refuse_pickle(path)
    if path.is_file() and path.suffix != SAFE:
        raise ValueError(f"{path} is not a {SAFE} file; name such a file, a folder, or a hub id")


def _refuse_pickle(path: Path) -> None:
    if path.suffix in PICKLES:
        raise ValueError(
            f"{path} is a pickle, which can run code when it is read, and is refused; convert it: safetensors.torch."
            f"save_file(torch.load({path.name!r}, weights_only=True), {path.with_suffix(SAFE).name!r})"
        )


def _the_one(name: str, files: list[str], usual: str) -> str:
    """The usual safetensors file among `files`, or the only one."""
    safe = [file for file in files if file.endswith(SAFE) and "/" not in file]
    if usual in safe or len(safe) == 1:
        return usual if usual in safe else safe[0]
    if safe:
        raise ValueError(f"{name!r} holds {', '.join(sorted(safe))}; name one of these files")
    for file in files:
        _refuse_pickle(Path(name) / file)
    raise ValueError(f"{name!r} holds no safetensors file; name one")


def _of_single_file(path: Path, dtype: torch.dtype, config: str | None, hub: Hub) -> Any:
    """The pipeline of a single file. Its configuration comes from `config`, or from the hub model of the same kind."""
    home = config or _like(path)
    try:
        folder = _home(home, hub)
        kind = _class_of(home, _index(home, folder))
        if not Path(home).is_dir():
            folder = hub.folder(home, files=SETTINGS)
    except ValueError as error:
        raise ValueError(f"{path} needs a configuration (config): {error}") from None
    _check_folder(home, folder)  # its index names the classes of all parts, and it gives the parts that the file lacks
    import diffusers

    reader = getattr(getattr(diffusers, kind), "from_single_file", None)
    if reader is None:
        raise ValueError(f"diffusers reads no single file for {kind}; name a folder or a hub id")
    with one_line(str(path), "if it lacks text encoders or image decoder, name a folder or hub id that has them all"):
        return reader(str(path), dtype=dtype, config=str(folder), local_files_only=True)


def _like(path: Path) -> str:
    """The hub model with the configuration of a single file, found by the names and shapes of its weights."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    with one_line(str(path), "it is damaged, or does not hold a complete model of diffusers"):
        return str(fetch_diffusers_config(_shapes(path))["pretrained_model_name_or_path"])


def _shapes(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {key: torch.empty(file.get_slice(key).get_shape(), device="meta") for key in file.keys()}  # noqa: SIM118


def _check_folder(model: str, folder: Path, *, whole: bool = False) -> dict[str, Any]:
    """Refuse code and pickles.

    Args:
        model: the model, for messages.
        folder: its folder; it may hold the index alone, if the rest is not downloaded yet.
        whole: whether every part must have a folder.

    Returns:
        The components that are not loaded, as arguments of diffusers.
    """
    index = _index(model, folder)
    _class_of(model, index)
    # the denoising loop never uses it, and its weights are often pickled
    unread = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in index else {}
    for name, entry in index.items():
        if name in unread or not isinstance(entry, list) or not any(entry[:1]):
            continue
        weights = check_class(model, name, *entry)
        if whole and not (folder / name).is_dir():  # diffusers would look for it in the folder of the model
            raise ValueError(f"{model!r} cannot be loaded: it has no {name}; its folder is incomplete")
        _check_tokenizer(model, name, folder / name)
        check_part(model, folder, name, weights)
    return unread


def _check_tokenizer(model: str, name: str, folder: Path) -> None:
    """Check that the reader of a tokenizer's files is installed.

    Raises:
        ValueError: it is not installed.
    """
    from transformers.utils import is_protobuf_available, is_sentencepiece_available

    if not (folder / "spiece.model").is_file() or (folder / "tokenizer.json").is_file():
        return
    if not (is_sentencepiece_available() and is_protobuf_available()):
        raise ValueError(
            f"{model!r} keeps its {name} as spiece.model alone, which needs sentencepiece and protobuf; install them: "
            "pip install 'fair-diffusion[t5]'"
        )


def _index(model: str, folder: Path) -> Mapping[str, Any]:
    try:
        index = json.loads(content(InnerFile(folder, INDEX), LARGEST))
        index["_class_name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(
            f"{model!r} is not a model as diffusers writes it: it has no readable {INDEX}; name a folder "
            "that save_pretrained wrote, a hub id, or pocket"
        ) from None
    return dict(index)


def _class_of(model: str, index: Mapping[str, Any]) -> str:
    kind = index["_class_name"]
    if not isinstance(kind, str):
        raise ValueError(own_code(model, "its pipeline is code of its own"))
    if kind not in FAMILIES:
        raise ValueError(f"{model!r} is a {kind}, which is not supported; {', '.join(FAMILIES)} are")
    return kind


def _home(model: str, hub: Hub) -> Path:
    """The folder of a model, with at least its index."""
    return Path(model) if Path(model).is_dir() else hub.file(model, INDEX).parent


def _fetched(model: str, hub: Hub) -> Path:
    """The folder of a hub model: downloaded, or cached if the hub gives no answer."""
    unread = _check_folder(model, _home(model, hub))
    from diffusers import DiffusionPipeline

    with one_line(model, "its weights must all be there, as safetensors"):
        told = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": hub.holds(model) is None}
        return Path(DiffusionPipeline.download(model, **told, **unread))
