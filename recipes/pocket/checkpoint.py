"""Where a training run computes and in which numbers, and its checkpoints: one safetensors file of weights, averaged
weights, optimizer moments and the step."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mixed(where: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where that is faster: without matrix units, processors take 1.5 times as long in it."""
    fast = where.type != "cpu" or bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return torch.autocast(where.type, dtype=torch.bfloat16, enabled=fast)


def digest(*parts: object) -> str:
    """Ten letters that change if any part does: a path stands for the file's bytes, anything else for its text."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return whole.hexdigest()[:10]


def save(
    path: Path, step: int, model: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything needed to go on from `step`; the old file stays until the new one is whole."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    part = path.with_suffix(".part")
    save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, part, {"step": str(step)})
    part.replace(path)


def restore(path: Path, model: torch.nn.Module, average: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load `path` into the three if it exists. Returns the step to go on from (0: a fresh start)."""
    if not path.exists():
        return 0
    tensors = load_file(path)

    def part(name: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}

    model.load_state_dict(part("model"))
    average.load_state_dict(part("average"))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in part("optimizer").items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])
