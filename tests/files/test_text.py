"""Names from outside: safe to print and to store, unchanged where they are."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from fair_diffusion.files.text import printable


@given(st.binary(max_size=40))
def test_any_file_name_becomes_visible_text(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.isprintable()
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_text_stays_and_controls_are_written_out() -> None:
    assert printable("Ärztin 医生/1.png") == "Ärztin 医生/1.png"
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
