"""The site: every page is in its navigation, every module on a page, and links lead to the site's own places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import griffe
import pytest
import yaml

from recipes import site

ROOT = Path(__file__).parents[2]
PAGES = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name functions of Python, without running any."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def settings() -> dict[str, Any]:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader)
    return loaded


def pages_of(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = pages_of(settings()["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == PAGES, "mkdocs.yml, nav: list each page of docs/, and no other"


def test_nothing_comes_from_another_host() -> None:
    said = settings()
    (privacy,) = [plugin["privacy"] for plugin in said["plugins"] if isinstance(plugin, dict) and "privacy" in plugin]
    assert privacy["assets_fetch"] is False
    assert said["theme"]["font"] is False
    assert said["strict"] is True
    assert not [page for page in PAGES if "```mermaid" in (ROOT / "docs" / page).read_text(encoding="utf-8")]


def test_every_module_is_on_one_page() -> None:
    found = [module for package in site.packages() for module in site.modules(package)]
    files = [path for path in site.PACKAGE.rglob("*.py") if "migrations" not in path.parts and path.stem[:2] != "__"]
    assert len(found) == len(set(found))
    assert {name.rpartition(".")[2] for name in found} >= {path.stem for path in files}
    assert len(found) >= len(files) > 300


def public(parent: griffe.Object) -> Iterator[griffe.Object]:
    """Everything below `parent` that is defined there and has no underscore."""
    for name, member in parent.members.items():
        if isinstance(member, griffe.Object) and not name.startswith("_") and ".migrations" not in member.path:
            yield member
            if member.is_module or member.is_class:
                yield from public(member)


@pytest.fixture(scope="module")
def names() -> list[griffe.Object]:
    package = griffe.load("fair_diffusion", search_paths=[ROOT / "src"])
    assert isinstance(package, griffe.Module)
    found = list(public(package))
    assert len(found) > 2000
    return found


def test_every_public_name_is_documented(names: list[griffe.Object]) -> None:
    assert not [each.path for each in names if not each.has_docstring and not each.is_attribute]


def test_docstrings_tell_of_the_parameters_that_are_there(names: list[griffe.Object]) -> None:
    """Each on a line of its own: the site shows "a, b: …" as one parameter that is not there."""
    strange = []
    for each in names:
        if isinstance(each, griffe.Function | griffe.Class) and each.docstring:
            for section in each.docstring.parse("google", warnings=False):
                if isinstance(section, griffe.DocstringSectionParameters):
                    known = {parameter.name.lstrip("*") for parameter in each.parameters}
                    strange += [f"{each.path}: {told.name}" for told in section.value if told.name not in known]
    assert not strange


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("how-to/audit.md", "[a](../reference/cli.md)", "[a](../reference/cli.md)"),
        ("how-to/audit.md", "[a](#verdicts)", "[a](#verdicts)"),
        ("how-to/audit.md", "[a](https://example.com/x.md)", "[a](https://example.com/x.md)"),
        ("how-to/audit.md", "[a](../../benchmarks/compare.md#x)", "[a](../studies/compare.md#x)"),
        ("how-to/audit.md", "[a](../../CONTRIBUTING.md)", "[a](../project/contributing.md)"),
        ("how-to/audit.md", "[a](../../src/fair_diffusion/seeds.py)", "[a](../python/seeds.md#fair_diffusion.seeds)"),
        (
            "how-to/audit.md",
            "[a](../../src/fair_diffusion/policy/__init__.py)",
            "[a](../python/policy.md#fair_diffusion.policy)",
        ),
        ("how-to/audit.md", "[a](../../NOTICE)", "[a](../repository/NOTICE)"),
        ("how-to/audit.md", "[the tests](../../tests/policy)", "the tests"),
        ("how-to/audit.md", "```\n[a](../../NOTICE)\n```", "```\n[a](../../NOTICE)\n```"),
        ("project/contributing.md", "[a](docs/reference/cli.md)", "[a](../reference/cli.md)"),
        ("project/changelog.md", "[a](README.md)", "[a](../index.md)"),
        (
            "studies/compare.md",
            "![a](compare-gender-cost.svg)",
            "![a](../repository/benchmarks/compare-gender-cost.svg)",
        ),
    ],
)
def test_links_lead_to_places_of_the_site(page: str, link: str, led: str) -> None:
    at: Any = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert site.on_page_markdown(link, at) == led
