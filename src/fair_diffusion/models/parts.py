"""The checks of one part of a model, or of one reader, before a library loads it: that it is read as numbers only.

What counts is what the libraries would load, not what lies beside it: which class they take, which file of weights they
prefer, which files an index names, and what a configuration makes them fetch. Every error is one line. Exports
`check_class`, `check_part` and `check_files`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from fair_diffusion.files.guarded import InnerFile, content, refusal, why

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
SAFE = ".safetensors"
READ = (".json", SAFE, ".txt", ".model", ".jinja")
"""The endings of files that the libraries read."""
INDEX = re.compile(r".*\.safetensors\.index.*\.json")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
"""The name of a part, which is also that of its folder."""
ENCODERS = re.compile(r"(CLIP|Siglip|T5|UMT5|Bert|Roberta|XLMRoberta|Gemma|Qwen2|Llama|Mistral)\w*")
"""The models of transformers that text-to-image pipelines have, by how their names begin."""
ATTENTIONS = (None, "eager", "sdpa", "flex_attention")
"""What a configuration may ask for as attention or as experts. Other names may fetch code from the hub."""
QUANTISED = ("bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit")
"""Quantised weights that are read as numbers."""
LABELS = 100_000
"""The most labels of a classifier; a library makes a name for each before it looks at the weights."""
LARGEST = 64 * 2**20
"""The most bytes of a configuration or index."""
MANY = 10_000
"""The files of a folder that are looked at."""


def check_class(model: str, part: str, library: object, kind: object = None, *_: object) -> str:
    """Refuse a part unless its class belongs to diffusers or transformers and reads only weights and settings.

    Returns:
        The name of its weights without ending; empty if the class has no weights.

    Raises:
        ValueError: in one line, why it is refused.
    """
    import diffusers
    import transformers

    if not NAME.fullmatch(part):
        raise ValueError(own_code(model, f"it has a part called {part!r}, which is no name of a folder"))
    if library not in ("diffusers", "transformers") and not hasattr(diffusers.pipelines, str(library)):
        raise ValueError(own_code(model, f"its {part} is code of its own ({library}.py)"))
    name = str(kind)
    while (shorter := re.sub(r"^(FlashPack|Flax|TF)", "", name)) != name:  # diffusers takes such a prefix off
        name = shorter
    chosen = re.match(r"_?Auto[A-Z]", name)  # matches AutoTokenizer, not AutoencoderKL
    if chosen or name.endswith("Pipeline"):
        what = "a class that its files choose" if chosen else "a whole pipeline, with parts"
        raise ValueError(own_code(model, f"its {part} is {what} ({kind}), so it can be code of its own"))
    found = _found(str(library), name)
    if found is None:
        raise ValueError(f"{model!r} needs a {kind} for its {part}, which {library} does not have; update {library}")
    if "dummy" in found.__module__:  # a package is missing, as loading says
        return ""
    if issubclass(found, transformers.PreTrainedModel) and (library != "transformers" or ENCODERS.fullmatch(name)):
        return "model"
    if issubclass(found, diffusers.ModelMixin):
        return "diffusion_pytorch_model"
    settings = (
        diffusers.SchedulerMixin,
        transformers.PreTrainedTokenizerBase,
        transformers.FeatureExtractionMixin,
        transformers.ImageProcessingMixin,
    )
    if issubclass(found, settings):
        return ""
    raise ValueError(own_code(model, f"its {part} is a {kind}, which is no part of a text-to-image model"))


def check_part(model: str, home: Path, part: str, weights: str) -> None:
    """Refuse a part of a model for what would be read from its folder.

    Args:
        model: the model, for messages.
        home: its folder.
        part: the name of the part.
        weights: as `check_class` returns it.

    Raises:
        ValueError: in one line, why it is refused.
    """
    place = home / part
    check_files(f"{model!r} is refused: its {part}", home, part)
    names = {path.name for path in place.iterdir()} if place.is_dir() else set()
    stems = [weights] if weights else ["model", "diffusion_pytorch_model"]
    if names & {f"{stem}{SAFE}{index}" for stem in stems for index in ("", ".index.json")}:
        return
    pickled = sorted(path.relative_to(place) for path in islice(place.rglob("*"), MANY) if path.suffix in PICKLES)
    if pickled:
        raise ValueError(
            f"{model!r} has only pickled weights for its {part} ({pickled[0]}), which can run code when read; "
            f"if you trust them, convert them once: diffusers.DiffusionPipeline.from_pretrained({model!r})"
            ".save_pretrained(NEW_FOLDER), and load that"
        )


def check_files(what: str, home: Path, inner: str = "") -> None:
    """Check the files from which a part of a model, or a reader, is loaded: settings, vocabularies and weights.

    Args:
        what: how the message begins.
        home: the folder out of which nothing may lead.
        inner: the folder of the part in it; empty for `home` itself.

    Raises:
        ValueError: in one line, what is wrong.
    """
    place = home / inner
    paths = [path for path in sorted(islice(place.iterdir(), MANY)) if path.suffix in READ] if place.is_dir() else []
    for file in (InnerFile(home, path.relative_to(home).as_posix()) for path in paths):
        if reason := refusal(file):
            raise ValueError(f"{what} has a {file.name} that is not opened: {reason}")
        if file.name == "adapter_config.json":
            raise ValueError(f"{what} brings an adapter that leads to other weights ({file.name}); take it out")
        if INDEX.fullmatch(file.name):
            _check_index(what, file)
        elif "config" in file.name and file.name.endswith(".json"):
            for key, value in _settings(what, file):
                _check_setting(f"{what} has a {file.name} with {key} {value!r}, which", key, value)


def own_code(model: str, reason: str) -> str:
    """The message of a model that is refused because it can bring code."""
    return f"{model!r} is refused: {reason}, which is not run; if you trust it, load it yourself and pass the pipeline"


def _found(library: str, name: str) -> type | None:
    """The class that diffusers takes for a name; None if there is none."""
    import diffusers
    import transformers
    from diffusers.utils import _maybe_remap_transformers_class

    if library == "transformers":
        found = getattr(transformers, _maybe_remap_transformers_class(name) or name, None)
    else:
        found = getattr(diffusers if library == "diffusers" else getattr(diffusers.pipelines, library), name, None)
    return found if isinstance(found, type) else None


def _check_index(what: str, file: InnerFile) -> None:
    """Check that an index of weights names safetensors files beside it, and nothing else."""
    index = _read(what, file)
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict):
        raise ValueError(f"{what} has a {file.name} that is no index of weights")
    for name in names.values():
        plain = isinstance(name, str) and PurePosixPath(name).name == name and name.endswith(SAFE)
        reason = refusal(file.beside(name)) if plain else "no safetensors file beside it"
        if reason:
            raise ValueError(f"{what} has a {file.name} that names {name!r}, which is not read: {reason}")


def _check_setting(begin: str, key: str, value: Any) -> None:
    """Refuse a setting by which a library would fetch code or other weights."""
    if key.removesuffix("_internal").endswith("_implementation"):
        asked = value.values() if isinstance(value, dict) else (value,)
        if any(one not in ATTENTIONS for one in asked):
            raise ValueError(f"{begin} can be code from the hub; take it out, or write eager or sdpa")
    if key == "transformers_weights" and value is not None:
        raise ValueError(f"{begin} leads to other weights; take it out")
    if key == "num_labels" and not (isinstance(value, int) and 0 <= value <= LABELS):
        raise ValueError(f"{begin} is no number of labels up to {LABELS:,}; take it out")
    if key == "use_pretrained_backbone" and value:
        raise ValueError(f"{begin} fetches weights from elsewhere; take it out")
    if key == "quantization_config" and value is not None:
        method = value.get("quant_method") if isinstance(value, dict) else value
        if method not in QUANTISED:
            raise ValueError(f"{begin} needs code that is not run here; use weights that are not quantised so")


def _settings(what: str, file: InnerFile) -> Iterator[tuple[str, Any]]:
    """Every key of a configuration with its value, at any depth."""
    waiting = [_read(what, file)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _read(what: str, file: InnerFile) -> Any:
    try:
        return json.loads(content(file, LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{what} has a {file.name} that cannot be read ({why(error)})".splitlines()[0]) from error
