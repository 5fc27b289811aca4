"""In which numbers a training run computes."""

from __future__ import annotations

import pytest
import torch

from recipes.pocket.checkpoint import mixed


@pytest.mark.parametrize(("units", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_computes_in_half_precision_only_with_matrix_units(
    units: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": units})
    with mixed(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
