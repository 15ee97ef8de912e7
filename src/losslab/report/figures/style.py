"""One style for every figure: colours told apart by colour-blind eyes, sizes legible at half a page, light and dark."""

import logging
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from losslab.inference.overlays import ON_PAPER
from losslab.results.files import atomic_file

P = ParamSpec("P")
T = TypeVar("T")

PALETTE = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in ON_PAPER)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")

INK, SOFT, GRID, PAPER = "#1f2933", "#5f6b7a", "#dbe1e8", "#ffffff"
DARK = {INK: "#e6ebf1", SOFT: "#a3afbd", GRID: "#38424e", PAPER: "#161b22"}
"""What the neutral colours become on a dark screen; the others are seen on both."""


def signed(points: float) -> str:
    """A difference as it is printed: +1.2, −0.3."""
    return f"{points:+.1f}".replace("-", "−")


def shortened(name: str) -> str:
    """A name with its end left out where it is long; the table of classes has it whole."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


LONGEST = 22
EAST_ASIAN = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans SC", "Source Han Sans",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip
"""Fonts that have Chinese, Japanese and Korean signs, of which the first that is installed is used for them."""
LAST_RESORT = "Last Resort High-Efficiency"
"""Comes with matplotlib: a frame for each sign that no other font has. A browser, which draws an SVG's text by itself,
shows the sign."""

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # or each report says that it has no bold


def fonts() -> list[str]:
    """Font families, each for the signs that those before it lack."""
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in EAST_ASIAN if name in installed][:1], LAST_RESORT]


STYLE: dict[Any, Any] = {
    "font.family": fonts(),
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "losslab",
    "figure.dpi": 160,
}


HALF = 4.6
"""Inches: the width of a figure of half a page. Its 10 points are read on a phone too, and all figures look alike."""


class Look(NamedTuple):
    """How one loss is drawn everywhere: losses that share a colour differ in their dashes."""

    colour: str
    marker: str
    dash: str


def looks(losses: Sequence[str]) -> dict[str, Look]:
    """One look a loss, by its place in the grid."""
    n = len(PALETTE)
    return {loss: Look(PALETTE[i % n], MARKERS[i % n], DASHES[i // n % len(DASHES)]) for i, loss in enumerate(losses)}


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run a drawing function in the style."""

    @wraps(draw)
    def drawing(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawing


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure of so many inches, whose parts are kept apart by themselves unless `layout` is None."""
    figure = Figure(figsize=(width, height), facecolor=PAPER, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def legend_below(figure: Figure, **options: Any) -> None:
    """One legend for all axes, under them, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        options = {"ncols": min(3, len(handles))} | options
        figure.legend(handles, labels, loc="outside lower center", **options)


@styled
def save(figure: Figure, *paths: Path) -> None:
    """Write a figure as each suffix says, PNG or SVG: no version or date in it, so that equal figures are equal bytes.

    An SVG carries its colours for dark screens; programs that know no style sheets show the light ones.
    """
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine()  # none: each file would seek it again, and be drawn twice
    for path in paths:
        with atomic_file(path) as temporary:
            if path.suffix == ".svg":
                figure.savefig(temporary, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
                temporary.write_text(_with_dark_colours(temporary.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                figure.savefig(temporary, format="png", metadata={"Software": None})


def _with_dark_colours(svg: str) -> str:
    rules = "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark}!important}}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
    )
    style = f"<style>@media screen and (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match[0] + style, svg, count=1)
