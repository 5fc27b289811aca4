"""docs/pictures/flow.svg: how natural-first control draws, from a prompt to measured images.

python -m recipes.figures.flow
"""

from __future__ import annotations

from html import escape
from pathlib import Path

OUT = Path("docs/pictures/flow.svg")
WIDTH, MIDDLE, BOX, HIGH, STEP = 560, 250, 300, 54, 78
BLUE, ORANGE, GREY = "#0072B2", "#B45F00", "#595959"
STEPS = (
    ("Prompt and policy", "“a photo of a firefighter”, half women"),
    ("Match", "which rule fires, or why none does"),
    ("Quotas", "exact counts: 16 women and 16 men of 32"),
    ("Draw plain up to the look", "a fifth of the way, all images"),
    ("Look", "what would each image show by itself?"),
    ("Assign", "meet the quotas, change the fewest"),
    (),
    ("Perceive", "does each image show its group?"),
    ("Judge", "counts, and never steers"),
    ("Images, records, audit", "each share with its interval"),
)
"""Title and line of each box, from top to bottom; where there is none the way forks."""
FORK = (
    ("Fits: goes on plain", "the same picture, bit for bit", BLUE),
    ("Does not: is steered", "from here on", ORANGE),
)


def box(x: float, y: float, width: float, title: str, line: str, colour: str = GREY) -> str:
    """A box whose upper edge has its middle at x, y."""
    return (
        f'<rect x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{HIGH}" rx="8" fill="#fff" stroke="{colour}" '
        f'stroke-width="2"/><text x="{x:g}" y="{y + 23:g}" class="title">{escape(title)}</text>'
        f'<text x="{x:g}" y="{y + 42:g}">{escape(line)}</text>'
    )


def arrow(*points: tuple[float, float]) -> str:
    """A line through points, with a head at its end."""
    return f'<polyline points="{" ".join(f"{x:g},{y:g}" for x, y in points)}" class="arrow" marker-end="url(#head)"/>'


def picture() -> str:
    """The figure as SVG."""
    apart, narrow = 122, 230
    parts = []
    for row, step in enumerate(STEPS):
        y = 10 + row * STEP
        if step:
            parts.append(box(MIDDLE, y, BOX, *step))
        else:
            for side, branch in zip((-1, 1), FORK, strict=True):
                parts.append(box(MIDDLE + side * apart, y, narrow, *branch))
        if row + 1 < len(STEPS):
            ends = [(MIDDLE + side * apart) for side in (-1, 1)]
            if not STEPS[row + 1]:
                parts += [arrow((MIDDLE + (x - MIDDLE) / 2, y + HIGH), (x, y + STEP - 2)) for x in ends]
            elif not step:
                parts += [arrow((x, y + HIGH), (MIDDLE + (x - MIDDLE) / 2, y + STEP - 2)) for x in ends]
            else:
                parts.append(arrow((MIDDLE, y + HIGH), (MIDDLE, y + STEP - 2)))
    again, back, right = 10 + 7 * STEP + HIGH / 2, 10 + 5 * STEP + HIGH / 2, WIDTH - 40
    parts.append(arrow((MIDDLE + BOX / 2, again), (right, again), (right, back), (MIDDLE + BOX / 2 + 2, back)))
    told = ("missed: again,", "within a budget")
    parts += [
        f'<text x="{right - 62}" y="{again + 20 + 17 * k:g}">{escape(line)}</text>' for k, line in enumerate(told)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {len(STEPS) * STEP}" role="img">'
        "<title>From a prompt and a policy to measured images</title>"
        "<style>text{font:14px sans-serif;text-anchor:middle;fill:#222}.title{font-weight:bold;font-size:16px}"
        ".arrow{fill:none;stroke:#595959;stroke-width:2}</style>"
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L10 5L0 10z" fill="#595959"/></marker></defs>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    OUT.write_text(picture(), encoding="utf-8")
