"""Figures: what came out, drawn with matplotlib, the same bytes for the same numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from losslab.files import atomic_file
from losslab.history import Row
from losslab.leaderboard import Row as Result

# Okabe and Ito's palette: told apart by colour-blind eyes too.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555", "#8F7A00")
RIGHT, MISSED, FALSE = (0, 158, 115), (230, 159, 0), (204, 40, 120)
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "savefig.dpi": 130,
}

Bytes = NDArray[np.uint8]
Masks = NDArray[np.bool_]


def colours(losses: Sequence[str]) -> dict[str, str]:
    """One colour a loss, by its place in the grid."""
    return {loss: PALETTE[i % len(PALETTE)] for i, loss in enumerate(losses)}


def loss_curves(path: Path, histories: Mapping[str, Sequence[Row]]) -> None:
    """One panel a loss, each on its own scale: training loss (line) and validation loss (dots) of every seed."""
    panels = list(histories)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    colour = colours(panels)
    with mpl.rc_context(STYLE):
        figure = _figure(3.1 * columns, 2.3 * rows)
        for index, loss in enumerate(panels):
            axes = figure.add_subplot(rows, columns, index + 1, title=loss, xlabel="step")
            for seed in _seeds(histories[loss]):
                for split, line in (("train", "-"), ("val", "o")):
                    points = _points(histories[loss], seed, split, "loss", "step")
                    axes.plot(*points, line, color=colour[loss], alpha=0.7, linewidth=1.2, markersize=3.5)
                for row in histories[loss]:
                    if row.seed == seed and row.metric == "diverged":
                        axes.axvline(row.step, color="#aa0000", linestyle=":", label=f"seed {seed} diverged")
                        axes.legend(fontsize=7)
        figure.suptitle("Loss: training (line) and validation (dots), every seed", fontsize=11)
        _save(figure, path)


def miou_curves(path: Path, histories: Mapping[str, Sequence[Row]]) -> None:
    """Validation mIoU by epoch, at threshold 0.5 and at the tuned one: mean over seeds, band from lowest to highest."""
    colour = colours(list(histories))
    with mpl.rc_context(STYLE):
        figure = _figure(8.4, 3.6)
        shared: Axes | None = None
        for place, (metric, title) in enumerate((("miou", "threshold 0.5"), ("miou_tuned", "tuned threshold"))):
            axes = figure.add_subplot(1, 2, place + 1, title=title, xlabel="epoch", ylim=(0, 1), sharey=shared)
            shared = axes
            for loss, rows in histories.items():
                by_epoch: dict[float, list[float]] = {}
                for seed in _seeds(rows):
                    for epoch, value in zip(*_points(rows, seed, "val", metric, "epoch"), strict=True):
                        by_epoch.setdefault(epoch, []).append(value)
                epochs = sorted(by_epoch)
                axes.plot(epochs, [np.mean(by_epoch[e]) for e in epochs], color=colour[loss], marker="o", markersize=3,
                          label=loss)  # fmt: skip
                low, high = ([pick(by_epoch[e]) for e in epochs] for pick in (min, max))
                axes.fill_between(epochs, low, high, color=colour[loss], alpha=0.18, linewidth=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.axes[0].set_ylabel("validation mIoU")
        figure.axes[1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        _save(figure, path)


def tuning_curves(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Validation loss by epoch, one line for each setting tried; one that diverged at once has none."""
    with mpl.rc_context(STYLE):
        figure = _figure(6.4, 3.6)
        axes = figure.add_subplot(1, 1, 1, xlabel="epoch", ylabel="validation loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for (label, values), colour in zip(curves.items(), colours(list(curves)).values(), strict=True):
            axes.plot(range(1, len(values) + 1), values, "o-", color=colour, markersize=3.5, label=label)
        axes.legend(fontsize=8, frameon=False)
        _save(figure, path)


def leaderboard_bars(path: Path, results: Sequence[Result]) -> None:
    """Test mIoU of each loss with its interval, fixed and tuned threshold side by side, best at the top."""
    chosen = [row for row in results if row.metric == "miou" and row.mean is not None]
    tuned = sorted((row for row in chosen if row.threshold == "tuned"), key=lambda row: row.mean or 0)
    fixed = {row.loss: row for row in chosen if row.threshold == "fixed"}
    with mpl.rc_context(STYLE):
        figure = _figure(6.4, 1.2 + 0.5 * len(tuned))
        axes = figure.add_subplot(1, 1, 1, xlabel="test mIoU, mean over seeds, with bootstrap interval", xlim=(0, 1))
        for offset, rows, face, label in (
            (0.19, tuned, PALETTE[0], "tuned threshold"),
            (-0.19, [fixed[row.loss] for row in tuned], PALETTE[5], "threshold 0.5"),
        ):
            means = np.array([row.mean or 0.0 for row in rows])
            errors = [means - [row.low or 0.0 for row in rows], [row.high or 0.0 for row in rows] - means]
            places = np.arange(len(rows)) + offset
            axes.barh(places, means, 0.36, xerr=np.maximum(errors, 0), color=face, label=label,
                      error_kw={"linewidth": 1, "capsize": 2})  # fmt: skip
            for place, row in zip(places, rows, strict=True):
                axes.text((row.high or 0.0) + 0.01, place, f"{row.mean:.3f}", va="center", fontsize=8)
        axes.set_yticks(range(len(tuned)), [row.loss for row in tuned])
        axes.legend(fontsize=8, loc="lower right", frameon=False)
        _save(figure, path)


def class_bars(path: Path, classes: Sequence[str], iou: Mapping[str, NDArray[np.float64]]) -> None:
    """IoU per class at the tuned threshold: one bar a loss, mean over seeds, from `iou[loss]` `[S, C]`."""
    colour = colours(list(iou))
    width = 0.8 / max(len(iou), 1)
    with mpl.rc_context(STYLE):
        figure = _figure(8.4, 3.2)
        axes = figure.add_subplot(1, 1, 1, ylabel="test IoU, tuned threshold", ylim=(0, 1))
        for index, (loss, values) in enumerate(iou.items()):
            if len(values):
                places = np.arange(len(classes)) + (index - (len(iou) - 1) / 2) * width
                axes.bar(places, np.nan_to_num(values.mean(axis=0)), width, color=colour[loss], label=loss)
        axes.set_xticks(range(len(classes)), classes)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        _save(figure, path)


def prediction_grid(
    path: Path, images: Bytes, truth: Masks, predicted: Mapping[str, Masks], names: Sequence[str]
) -> None:
    """One row an image: input `[N, 3, H, W]`, truth `[N, C, H, W]`, and each loss's prediction of the same shape with
    right, missed and false pixels coloured."""
    columns = ["input", "truth", *predicted]
    with mpl.rc_context(STYLE):
        figure = _figure(1.15 * len(columns) + 0.4, 1.2 * len(images) + 0.5)
        grid = figure.subplots(len(images), len(columns), squeeze=False)
        for row in range(len(images)):
            picture = images[row].transpose(1, 2, 0)
            cells = [picture, truth_overlay(picture, truth[row])]
            cells += [outcome_overlay(picture, truth[row], masks[row]) for masks in predicted.values()]
            for column, cell in enumerate(cells):
                axes = grid[row, column]
                axes.imshow(cell, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if row == 0:
                    axes.set_title(columns[column], fontsize=8)
            grid[row, 0].set_ylabel(names[row], fontsize=7)
        shades = {"right": RIGHT, "missed": MISSED, "false": FALSE}
        patches = [
            Patch(color=mpl.colors.to_hex(np.divide(shade, 255)), label=word)  # type: ignore[arg-type]
            for word, shade in shades.items()
        ]
        figure.legend(handles=patches, loc="lower center", ncols=3, frameon=False, fontsize=8)
        _save(figure, path, bottom=0.04)


def truth_overlay(picture: Bytes, truth: Masks) -> Bytes:
    """`[H, W, 3]`: the grey picture with every true pixel of `[C, H, W]` in the colour of right."""
    return outcome_overlay(picture, truth, truth)


def outcome_overlay(picture: Bytes, truth: Masks, predicted: Masks) -> Bytes:
    """`[H, W, 3]`: the grey picture with right, missed and false pixels coloured; where classes differ, errors win."""
    grey = picture.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.35 + 90
    right, missed, false = (
        (truth & predicted).any(0),
        (truth & ~predicted).any(0),
        (~truth & predicted).any(0),
    )
    for mask, colour in ((right, RIGHT), (missed, MISSED), (false, FALSE)):
        grey[mask] = colour
    painted: Bytes = grey.astype(np.uint8)
    return painted


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path, bottom: float = 0.0) -> None:
    figure.tight_layout(rect=(0, bottom, 1, 1))
    with atomic_file(path) as temporary:
        # No version or date in the file, so that equal figures are equal bytes.
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({row.seed for row in rows})


def _points(rows: Sequence[Row], seed: int, split: str, metric: str, x: str) -> tuple[list[Any], list[float]]:
    chosen = [row for row in rows if (row.seed, row.split, row.metric) == (seed, split, metric)]
    return [getattr(row, x) for row in chosen], [row.value for row in chosen]
