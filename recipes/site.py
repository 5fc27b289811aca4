"""What the site has beside docs/: pages that lie elsewhere, files that pages link to, a page for each package.

MkDocs calls the functions `on_…` of this file (`hooks` in mkdocs.yml). Links between files of the repository are
written as they hold there, such as `../../src/fair_diffusion/seeds.py`; the site leads them to its own place.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fair_diffusion"
PROJECT = {name: f"project/{name.lower()}" for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
EXAMPLES = {"examples/README.md": "examples/index.md", "examples/space/README.md": "examples/space.md"}
STUDIES = {f"benchmarks/{path.name}": f"studies/{path.name}" for path in sorted((ROOT / "benchmarks").glob("*.md"))}
CARD = {"src/fair_diffusion/models/pocket/weights/README.md": "studies/pocket-model.md"}
ELSEWHERE = {**EXAMPLES, **PROJECT, **STUDIES, **CARD, "README.md": "index.md"}
"""Pages of the repository outside docs/, and where they are on the site."""
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def packages() -> list[str]:
    """The packages and modules of ours, in the order of the map of the package's docstring."""
    text = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    return re.findall(r"^    (\w+)  +\w", text.split('"""')[1], re.MULTILINE)


def modules(package: str) -> Iterator[str]:
    """The dotted names of a package and of all modules in it; migrations are no modules to import."""
    found = sorted(PACKAGE.glob(f"{package}.py")) + sorted((PACKAGE / package).rglob("*.py"))
    for path in found:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "migrations" not in parts and parts[-1] != "__main__":
            yield ".".join(parts).removesuffix(".__init__")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages that lie elsewhere to the navigation."""
    assert config.nav is not None
    config.nav += [{"Python": [f"python/{name}.md" for name in packages()]}]
    config.nav += [{"Examples": list(EXAMPLES.values())}]
    config.nav += [{"Studies": [*CARD.values(), *STUDIES.values()]}, {"Project": list(PROJECT.values())}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, a page for each package, and the files of the repository that pages link to."""
    for source, target in ELSEWHERE.items():
        if target != "index.md":
            files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    for name in packages():
        parts = [f"# {name}\n", *(f"::: {module}\n" for module in modules(name))]
        files.append(File.generated(config, f"python/{name}.md", content="\n".join(parts)))
    for file in list(files.documentation_pages()):
        for link in LINK.findall(CODE.sub("", file.content_string)):
            path = _named(_home(file.src_uri), link[1].partition("#")[0])
            place = _place(path)
            if place and place.startswith("repository/") and not files.get_file_from_path(place):
                files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead the links of a page to the places that their targets have on the site."""
    home = _home(page.file.src_uri)

    def led(found: re.Match[str]) -> str:
        begin, link, end = found.groups()
        name, mark, anchor = link.partition("#")
        if not name or re.match(r"[a-z]+:", link):
            return found[0]
        place = _place(_named(home, name))
        if place is None:
            return begin.lstrip("!").removesuffix("](").removeprefix("[")
        target = place if "#" in place else f"{place}{mark}{anchor}"
        return f"{begin}{posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or '.')}{end}"

    parts = CODE.split(markdown)
    return "".join(part if k % 2 else LINK.sub(led, part) for k, part in enumerate(parts))


def _home(page: str) -> str:
    """The path in the repository of a page of the site."""
    return next((source for source, target in ELSEWHERE.items() if target == page != "index.md"), f"docs/{page}")


def _named(home: str, link: str) -> str:
    """The path in the repository that a link of a page names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(home), link))


def _place(path: str) -> str | None:
    """Where the site has a file of the repository, with the anchor of a module; None for a folder."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("src/fair_diffusion/") and path.endswith(".py"):
        parts = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").split("/")
        return f"python/{parts[1]}.md#{'.'.join(parts)}"
    return f"repository/{path}" if (ROOT / path).is_file() else None
