"""What a user named is called by its last part in what is written: the folders above may tell the user's name."""

from __future__ import annotations

import pytest

from fair_diffusion.files.text import public, without_folders


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("/home/me/models/x", "x"),
        ("/home/me/models/x/", "x"),
        ("~/x", "x"),
        ("../x", "x"),
        ("C:\\Users\\me\\x.safetensors", "x.safetensors"),
        ("OWNER/NAME", "OWNER/NAME"),
        ("pocket", "pocket"),
        ("clip:/home/me/x,/home/me/words.yaml", "clip:x,words.yaml"),
        ("clip:openai/clip-vit-base-patch32", "clip:openai/clip-vit-base-patch32"),
        ("faces:agree", "faces:agree"),
        ("/home/me/hub/models--org--name/snapshots/abc123", "org/name"),
    ],
)
def test_names_without_folders(named: str, told: str) -> None:
    assert public(named) == told


def test_messages_without_folders() -> None:
    assert without_folders("Permission denied: '/home/me/my pictures/a.png'") == "Permission denied: 'a.png'"
    assert without_folders("see https://a.org/b/c, a/b or <b>x</b>") == "see https://a.org/b/c, a/b or <b>x</b>"
