"""docs/pictures/verdicts.svg: what an interval allows to say, at four sizes and three shares.

python -m recipes.figures.verdicts
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

from fair_diffusion.statistics.intervals import verdict, wilson

SIZES = (16, 64, 250, 1000)
SHARES = (0.5, 0.375, 0.0625)
TARGET, TOLERANCE = 0.5, 0.05
LOOKS = {"meets": ("#009E73", "o"), "cannot tell": ("#595959", "D"), "misses": ("#D55E00", "s")}
OUT = Path("docs/pictures/verdicts.svg")


def draw(out: Path) -> None:
    """Write the figure as SVG, its text as text and the same bytes every time."""
    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "verdicts", "font.size": 9}):
        figure, axes = pyplot.subplots(1, len(SHARES), figsize=(9, 3), sharey=True, layout="constrained")
        for share, axis in zip(SHARES, axes, strict=True):
            axis.axvspan(100 * (TARGET - TOLERANCE), 100 * (TARGET + TOLERANCE), color="#0072B2", alpha=0.12, lw=0)
            axis.axvline(100 * TARGET, color="black", lw=1, ls="--")
            for row, n in enumerate(SIZES):
                low, high = wilson(round(share * n), n)
                word = verdict(low, high, TARGET, TOLERANCE)
                colour, marker = LOOKS[word]
                axis.plot([100 * low, 100 * high], [row, row], color=colour, lw=2)
                axis.plot([100 * round(share * n) / n], [row], color=colour, marker=marker, ms=6)
                axis.text(99, row - 0.28, word, ha="right", va="center", color="black")
            axis.set(xlim=(0, 100), xticks=range(0, 101, 25), title=f"{100 * share:.3g} % observed", xlabel="share, %")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set(yticks=range(len(SIZES)), yticklabels=[f"n = {n:,}" for n in SIZES], ylim=(-0.6, len(SIZES) - 0.4))
        axes[0].invert_yaxis()
        figure.savefig(out, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


if __name__ == "__main__":
    draw(OUT)
    print(f"wrote {OUT}")
