"""Curves of training: loss and validation mIoU over steps and epochs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from losslab.evaluation.metrics import METRICS
from losslab.report.figures.style import HALF, SOFT, Look, legend_below, looks, new_figure, styled
from losslab.results.history import Row, diverged_step
from losslab.results.standings import RULES

Histories = Mapping[str, Sequence[Row]]
Curve = dict[float, list[float]]
"""x → the values of the seeds that have one."""


@styled
def loss_curves(histories: Histories) -> Figure:
    """One panel a loss, each on its own scale: training loss (line) and validation loss (points) of every seed."""
    columns = min(3, len(histories))
    rows = -(-len(histories) // columns)
    figure = new_figure(7.2, 1.9 * rows + 0.5)
    look = looks(list(histories))
    for index, (loss, history) in enumerate(histories.items()):
        axes = figure.add_subplot(rows, columns, index + 1, title=loss)
        for seed in _seeds(history):
            train, val = (_curve([row for row in history if row.seed == seed], s, "loss", "step") for s in _SPLITS)
            axes.plot(list(train), [values[0] for values in train.values()], color=look[loss].colour, lw=1, alpha=0.75)
            axes.plot(list(val), [values[0] for values in val.values()], look[loss].marker, ms=3.5,
                      color=look[loss].colour, alpha=0.75)  # fmt: skip
            step = diverged_step(history, seed)
            if step is not None:
                axes.axvline(step, color="#c0282d", ls=":", label=f"seed {seed} diverged")
                axes.legend(fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=8)
    figure.supxlabel("step", fontsize=10)
    figure.legend(
        handles=[
            Line2D([], [], color=SOFT, lw=1, label="training"),
            Line2D([], [], color=SOFT, ls="", marker="o", ms=3.5, label="validation, each epoch"),
        ],
        loc="outside lower right",
        ncols=2,
    )
    return figure


@styled
def normalised_curves(histories: Histories) -> Figure:
    """Training loss of all losses in one panel: 1 where a loss began, 0 the lowest it came to; mean over seeds."""
    figure = new_figure(HALF, 3.4)
    axes = figure.add_subplot(xlabel="step", ylabel="share of its fall left")
    for loss, look in looks(list(histories)).items():
        curve = _curve(histories[loss], "train", "loss", "step")
        mean = np.array([np.mean(values) for values in curve.values()])
        if len(mean):
            fall = mean[0] - mean.min()
            axes.plot(list(curve), (mean - mean.min()) / (fall or 1.0), color=look.colour, ls=look.dash, label=loss)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    legend_below(figure)
    return figure


@styled
def miou_curves(histories: Histories) -> Figure:
    """Validation mIoU by epoch, by each threshold rule: mean over seeds, band from the lowest to the highest seed."""
    figure = new_figure(HALF, 3.4)
    shared: Axes | None = None
    logged = {row.metric for rows in histories.values() for row in rows}
    panels = [("miou_argmax", "argmax")] if "miou_argmax" in logged else [("miou_tuned", "tuned"), ("miou", "fixed")]
    for place, (metric, rule) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1, title=RULES[rule], xlabel="epoch", sharey=shared)
        shared = shared or axes
        curves = {loss: _curve(rows, "val", metric, "epoch") for loss, rows in histories.items()}
        look = looks(list(histories))
        # The legend lists the losses from the highest line to the lowest.
        for loss in sorted(curves, key=lambda name: -_last(curves[name])):
            if curves[loss]:
                _band(axes, curves[loss], look[loss], loss)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    figure.axes[0].set(ylabel=f"validation {METRICS['miou'].title}", ylim=(0, None))
    for axes in figure.axes[1:]:
        axes.tick_params(labelleft=False)
    legend_below(figure)
    return figure


_SPLITS = ("train", "val")


def _band(axes: Axes, curve: Curve, look: Look, label: str) -> None:
    x = list(curve)
    axes.plot(x, [np.mean(values) for values in curve.values()], color=look.colour, ls=look.dash, marker=look.marker,
              ms=4, label=label)  # fmt: skip
    low, high = ([pick(values) for values in curve.values()] for pick in (min, max))
    axes.fill_between(x, low, high, color=look.colour, alpha=0.16, lw=0)


def _last(curve: Curve) -> float:
    return float(np.mean(list(curve.values())[-1])) if curve else -1.0


def _curve(rows: Sequence[Row], split: str, metric: str, x: str) -> Curve:
    curve: Curve = {}
    for row in rows:
        if (row.split, row.metric) == (split, metric) and np.isfinite(row.value):
            curve.setdefault(getattr(row, x), []).append(row.value)
    return dict(sorted(curve.items()))


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({row.seed for row in rows})
