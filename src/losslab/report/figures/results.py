"""What the test set says: leaderboard, differences, classes, sizes, distributions, families of losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from losslab.comparison.overall import Ranks
from losslab.evaluation.metrics import METRICS
from losslab.report.figures.style import (
    HALF,
    INK,
    PALETTE,
    PAPER,
    SOFT,
    legend_below,
    looks,
    new_figure,
    shortened,
    signed,
    styled,
)
from losslab.results.standings import RANKED_BY, RULES, Standing

Record = Mapping[str, Any]
"""A row of analysis.json: `loss`, what it is about, and `mean`, `low`, `high` or None."""

RANKING = METRICS[RANKED_BY]

MOST_BARS = 60
"""With more bars than this, losses and classes are a table of shades."""
MOST_ROWS = 60
"""Classes in such a table: of more, those on which the losses differ most."""


@styled
def leaderboard_dots(results: Sequence[Standing]) -> Figure:
    """Test mIoU of each loss with its interval by each threshold rule, and of each seed; results from the top down."""
    measured = [row for row in results if row.metric == RANKED_BY and row.mean is not None]
    ranked = [row for row in measured if row.decisive]
    place = {row.loss: len(ranked) - 1 - i for i, row in enumerate(ranked)}
    figure, axes = _rows_of(list(place), f"test {RANKING.title} with interval")
    for threshold, label in _rules(measured):
        shift, face = (-0.18, PAPER) if threshold == "fixed" else (0.14, PALETTE[0])
        for row in measured:
            if row.threshold == threshold and row.loss in place:
                y = place[row.loss] + shift
                _whisker(axes, y, row.mean, row.low, row.high, PALETTE[0], face, label)
                if row.decisive:
                    values = list(row.by_seed.values())
                    axes.plot(values, [place[row.loss] + 0.36] * len(values), "|", color=INK, ms=7, mew=1.2,
                              label="each seed" if label else "")  # fmt: skip
                    axes.annotate(RANKING.text(row.mean), (row.high or row.mean or 0, y), (5, 0), va="center",
                                  textcoords="offset points", fontsize=9)  # fmt: skip
                label = ""
    axes.margins(x=0.14)
    legend_below(figure)
    return figure


@styled
def critical_difference(ranks: Ranks) -> Figure:
    """The mean rank of each loss, with half of the critical difference to either side."""
    label = f"mean rank over {ranks.number}, with half of the critical difference"
    figure, axes = _rows_of([shortened(loss) for loss in ranks.means], label)
    for index, rank in enumerate(ranks.means.values()):
        y, half = len(ranks.means) - 1 - index, ranks.critical / 2
        _whisker(axes, y, rank, rank - half, rank + half, PALETTE[0], PALETTE[0])
        axes.annotate(f"{rank:.1f}", (rank, y), (0, 6), textcoords="offset points", ha="center", fontsize=9)
    axes.margins(x=0.08)
    return figure


@styled
def difference_forest(results: Sequence[Standing], baseline: str) -> Figure:
    """Each loss's difference to the baseline in mIoU points, tuned threshold, with its interval; results best first.

    A filled point: the interval leaves out zero.
    """
    rows = [r for r in results if r.decisive and r.delta is not None]
    figure, axes = _rows_of([row.loss for row in rows], f"test {RANKING.title}, points above {baseline}", step=0.48)
    axes.axvline(0, color=SOFT, lw=1)
    for index, row in enumerate(rows):
        y = len(rows) - 1 - index
        mean, low, high = (100 * (value or 0.0) for value in (row.delta, row.delta_low, row.delta_high))
        colour = PALETTE[0] if mean > 0 else PALETTE[1]
        _whisker(axes, y, mean, low, high, colour, PAPER if low <= 0 <= high else colour)
        axes.annotate(signed(mean), (mean, y), (0, 6), textcoords="offset points", ha="center", fontsize=9)
    axes.margins(x=0.08)
    return figure


@styled
def class_scores(classes: Sequence[Record], losses: Sequence[str], rule: str = RULES["tuned"]) -> Figure:
    """IoU of every class and loss by a threshold rule: bars with intervals, or shades where there are too many."""
    names = list(dict.fromkeys(row["class"] for row in classes))
    if len(names) * len(losses) > MOST_BARS:
        return _shades(classes, losses, names, rule)
    return _bars(classes, losses, "class", names, names, f"test IoU, {rule}")


@styled
def size_scores(sizes: Sequence[Record], losses: Sequence[str]) -> Figure:
    """Score by size of object, bars with intervals; a size without objects, as a small test set has, is left out."""
    sizes = [row for row in sizes if row["objects"]]
    names = list(dict.fromkeys(row["size"] for row in sizes))
    by_size = {row["size"]: row for row in sizes}
    labels = []
    for name in names:
        objects, *ends = (by_size[name][key] for key in ("objects", "smallest_area", "largest_area"))
        area = "" if None in ends else "\n{:,.0f}–{:,.0f} px".format(*ends)
        labels.append(f"{name}{area}\n{objects:,} objects")
    return _bars(sizes, losses, "size", names, labels, "mean IoU of objects")


@styled
def threshold_gain(gains: Sequence[Record]) -> Figure:
    """mIoU points that tuning the threshold on validation is worth, with intervals, largest at the top."""
    rows = sorted((row for row in gains if row["mean"] is not None), key=lambda row: -row["mean"])
    figure, axes = _rows_of([row["loss"] for row in rows], f"{RANKING.title} points gained over threshold 0.5")
    axes.axvline(0, color=SOFT, lw=1)
    for index, row in enumerate(rows):
        mean, low, high = (None if row[key] is None else 100 * row[key] for key in ("mean", "low", "high"))
        _whisker(axes, len(rows) - 1 - index, mean, low, high, PALETTE[2], PALETTE[2])
    return figure


@styled
def dice_distribution(
    dice: Mapping[str, NDArray[np.float64]], losses: Sequence[str], rule: str = RULES["tuned"]
) -> Figure:
    """Image Dice of all test images and seeds, one ridge a loss; a tick at the median.

    Args:
        dice: loss → values in [0, 1], NaN left out; from the top down.
        losses: all of the grid, for their colours.
        rule: the threshold rule in words.
    """
    figure, axes = _rows_of(list(dice), f"{METRICS['image_dice'].title}, {rule}", step=0.5)
    edges = np.linspace(0, 1, 41)
    look = looks(losses)
    shares = {loss: np.histogram(v[~np.isnan(v)], edges)[0] / max((~np.isnan(v)).sum(), 1) for loss, v in dice.items()}
    tallest = max((share.max() for share in shares.values() if len(share)), default=0) or 1.0
    for index, (loss, share) in enumerate(shares.items()):
        y = len(dice) - 1 - index - 0.4
        colour = look[loss].colour
        axes.stairs(y + 0.85 * share / tallest, edges, baseline=y, fill=True, color=colour, alpha=0.35, lw=0)
        axes.stairs(y + 0.85 * share / tallest, edges, baseline=y, color=colour, lw=1)
        if not np.isnan(dice[loss]).all():
            median = float(np.nanmedian(dice[loss]))
            axes.plot([median, median], [y, y + 0.85], color=INK, lw=1.4)
            axes.annotate(f"{median:.2f}", (1.02, y + 0.4), xycoords=("axes fraction", "data"), va="center",
                          fontsize=9, annotation_clip=False)  # fmt: skip
    axes.set_xlim(0, 1)
    axes.grid(False, axis="y")
    return figure


@styled
def family_curve(family: Record, results: Sequence[Standing]) -> Figure:
    """Test mIoU along a parameter in which a family of losses differ, with intervals, by each threshold rule."""
    figure = new_figure(HALF, 3.3)
    axes = figure.add_subplot(xlabel=family["x_label"], ylabel=f"test {RANKING.title}")
    members = sorted(family["members"], key=lambda member: float(member["x"]))
    measured = {(row.loss, row.threshold): row for row in results if row.metric == RANKED_BY and row.mean is not None}
    for threshold, label in _rules(list(measured.values())):
        points = [(m["x"], measured[m["loss"], threshold]) for m in members if (m["loss"], threshold) in measured]
        x, mean = [x for x, _ in points], np.array([row.mean for _, row in points], float)
        low, high = (np.array([getattr(row, end) for _, row in points], float) for end in ("low", "high"))
        axes.errorbar(x, mean, np.maximum([mean - low, high - mean], 0), color=PALETTE[0], marker="o", label=label,
                      mfc=PAPER if threshold == "fixed" else PALETTE[0], capsize=3, lw=1.3,
                      ls="--" if threshold == "fixed" else "-")  # fmt: skip
    legend_below(figure)
    return figure


@styled
def confusion_matrix(pixels: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Of the pixels of each true class, a row of `[C, C]`, the share that each class is predicted for, a column."""
    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    shares[pixels.sum(axis=1) == 0] = np.nan
    side = 0.55 if len(classes) <= 12 else 0.24
    figure = new_figure(max(3.2, 2.0 + side * len(classes)), max(2.8, 1.6 + side * len(classes)))
    axes = figure.add_subplot(xlabel="predicted", ylabel="true")
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="cividis", interpolation="none")
    for row, column in np.argwhere(shares >= 0.005) if len(classes) <= 12 else ():
        text, colour = f"{100 * shares[row, column]:.0f}", "black" if shares[row, column] > 0.6 else "white"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    names = [shortened(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.grid(False)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure


def _rules(rows: Sequence[Standing]) -> list[tuple[str, str]]:
    """The threshold rules of the rows, that which ranks first, and their words."""
    return [(rule, words) for rule, words in RULES.items() if any(row.threshold == rule for row in rows)]


def _rows_of(names: Sequence[str], label: str, step: float = 0.42) -> tuple[Figure, Axes]:
    """A figure with a row a name, the first at the top."""
    figure = new_figure(HALF, 0.95 + step * max(len(names), 1))
    axes = figure.add_subplot(xlabel=label)
    axes.set_yticks(range(len(names)), list(names)[::-1])
    axes.set_ylim(-0.6, max(len(names), 1) - 0.4)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _whisker(
    axes: Axes, y: float, mean: float | None, low: float | None, high: float | None, colour: str, face: str,
    label: str = "",
) -> None:  # fmt: skip
    if mean is None:
        return
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, lw=2.2, solid_capstyle="round")
    axes.plot([mean], [y], "o", color=colour, mfc=face, ms=7, mew=1.6, label=label)


def _bars(
    records: Sequence[Record], losses: Sequence[str], key: str, names: Sequence[str], labels: Sequence[str], title: str
) -> Figure:
    figure = new_figure(max(HALF, 0.8 + 0.13 * len(names) * len(losses)), 3.4)
    axes = figure.add_subplot(ylabel=title)
    measured = {(row["loss"], row[key]): row for row in records if row["mean"] is not None}
    width = 0.84 / max(len(losses), 1)
    for index, (loss, look) in enumerate(looks(losses).items()):
        chosen = [(i, measured[loss, name]) for i, name in enumerate(names) if (loss, name) in measured]
        if not chosen:
            continue
        x = np.array([i for i, _ in chosen]) + (index - (len(losses) - 1) / 2) * width
        mean, low, high = (
            np.array([row["mean" if row[end] is None else end] for _, row in chosen], float)
            for end in ("mean", "low", "high")
        )
        axes.bar(x, mean, 0.9 * width, color=look.colour, label=loss)
        axes.errorbar(x, mean, np.maximum([mean - low, high - mean], 0), fmt="none", ecolor=INK, lw=0.9)
    labels = [label if "\n" in label else shortened(label) for label in labels]
    room = 14 * figure.get_figwidth() / max(len(names), 1)  # characters that fit side by side
    turned = max((len(line) for label in labels for line in label.split("\n")), default=0) > room
    how: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(range(len(names)), labels, **how)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 1)
    axes.grid(False, axis="x")
    legend_below(figure, handlelength=1)
    return figure


def _shades(classes: Sequence[Record], losses: Sequence[str], names: Sequence[str], rule: str) -> Figure:
    mean = {(row["loss"], row["class"]): row["mean"] for row in classes}
    table = np.array([[mean.get((loss, name)) for loss in losses] for name in names], float)
    title = f"test IoU, {rule}"
    if len(names) > MOST_ROWS:
        ends = [np.where(np.isnan(table), worst, table) for worst in (-np.inf, np.inf)]
        spread = np.nan_to_num(ends[0].max(axis=1) - ends[1].min(axis=1), neginf=-1)
        kept = np.sort(np.argsort(-spread, kind="stable")[:MOST_ROWS])
        title += f"; the {MOST_ROWS} of {len(names)} classes on which losses differ most"
        table, names = table[kept], [names[k] for k in kept]
    figure = new_figure(max(4.5, 2.6 + 0.3 * len(losses)), 1.2 + 0.17 * len(names))
    axes = figure.add_subplot()
    image = axes.imshow(table, vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="none")
    axes.set_xticks(range(len(losses)), losses, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), [shortened(name) for name in names], fontsize=8)
    axes.grid(False)
    figure.colorbar(image, label=title, shrink=min(1.0, 12 / len(names)) if len(title) < 60 else 1.0)
    return figure
