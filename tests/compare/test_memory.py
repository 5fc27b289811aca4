"""The highest level of memory, not the last one."""

from __future__ import annotations

import psutil
import torch

from fair_diffusion.compare.memory import peak_memory

MIB = 2**20


def test_what_was_held_for_a_while_is_in_the_peak() -> None:
    before = psutil.Process().memory_info().rss
    with peak_memory(torch.device("cpu")) as peak:
        held = torch.ones(50 * MIB)  # 200 MiB, written to, so that they are resident
    assert before + 150 * MIB < peak.bytes < before + 1000 * MIB
    assert held.numel() == 50 * MIB


def test_every_context_starts_anew() -> None:
    held = torch.ones(100 * MIB)
    with peak_memory(torch.device("cpu")) as first:
        del held
    with peak_memory(torch.device("cpu")) as second:
        pass
    assert second.bytes < first.bytes
