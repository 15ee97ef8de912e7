"""Figures of what tuning tried."""

from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from losslab.evaluation.metrics import METRICS
from losslab.report.figures.style import HALF, legend_below, looks, new_figure, styled
from losslab.results.history import JUDGED_BY
from losslab.results.tuning_table import Tuning

VALIDATION = f"validation {METRICS['miou'].title}"


@styled
def by_rate(tuned: Mapping[str, Tuning]) -> Figure:
    """Validation mIoU over the learning rate, logarithmic: each loss's trials, and the one that was chosen, filled."""
    figure = new_figure(HALF, 3.4)
    axes = figure.add_subplot(1, 1, 1, xlabel="learning rate", xscale="log", ylabel=VALIDATION)
    for (loss, tuning), look in zip(tuned.items(), looks(list(tuned)).values(), strict=True):
        rates = {row.trial: row.lr for row in tuning.tried}
        order = sorted(tuning.scores, key=lambda trial: rates[trial])
        rising = len(set(rates.values())) == len(rates)
        axes.plot(
            [rates[trial] for trial in order], [tuning.scores[trial] for trial in order], color=look.colour,
            ls=look.dash if rising else "none", marker=look.marker, ms=4, mfc="none", label=loss,
        )  # fmt: skip
        if tuning.chosen is not None:
            axes.plot(rates[tuning.chosen], tuning.scores[tuning.chosen], look.marker, color=look.colour, ms=6)
    legend_below(figure)
    return figure


@styled
def best_of(tuned: Mapping[str, Tuning]) -> Figure:
    """What the best of k trials is expected to reach, for each loss."""
    figure = new_figure(HALF, 3.4)
    axes = figure.add_subplot(1, 1, 1, xlabel="trials", ylabel=f"{VALIDATION}, best of them")
    for (loss, tuning), look in zip(tuned.items(), looks(list(tuned)).values(), strict=True):
        best = expected_best(list(tuning.scores.values()))
        axes.plot(range(1, len(best) + 1), best, color=look.colour, ls=look.dash, marker=look.marker, ms=4, label=loss)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    legend_below(figure)
    return figure


@styled
def by_epoch(tuning: Tuning) -> Figure:
    """Validation mIoU by epoch, the mean over seeds: one line a trial; one that diverged at once has none."""
    figure = new_figure(HALF, 3.4)
    axes = figure.add_subplot(1, 1, 1, xlabel="epoch", ylabel=VALIDATION)
    labels = {trial: tuning.label(trial) for trial in tuning.scores}
    for (trial, label), look in zip(labels.items(), looks(list(labels.values())).values(), strict=True):
        values: dict[int, list[float]] = {}
        for point in tuning.curves:
            if point.trial == trial and point.metric in JUDGED_BY:
                values.setdefault(point.epoch, []).append(point.value)
        axes.plot(
            list(values), [np.mean(each) for each in values.values()],
            color=look.colour, ls=look.dash, marker=look.marker, ms=4, label=label,
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    legend_below(figure, ncols=2)
    return figure


def expected_best(values: Sequence[float]) -> list[float]:
    """The expected maximum of k of the values, drawn without replacement, for k from 1 to all (Dodge et al. 2019)."""
    ordered, n = sorted(values), len(values)
    return [sum(value * comb(rank, k - 1) for rank, value in enumerate(ordered)) / comb(n, k) for k in range(1, n + 1)]
