"""What did not converge: classes that some runs never learned, validation that still rose when training ended; and how
long the others took.

A ranking of networks that were stopped while they learned says which loss is fast, not which is good.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from losslab.evaluation.aggregates import Floats
from losslab.results.history import JUDGED_BY, Row

Curve = Sequence[Row]
Curves = dict[int, list[Row]]
"""Seed → a row an epoch."""

QUALITIES = (90, 99)
"""Percent of the best validation mIoU."""
LEARNED = 0.5
"""A run has learned a class if it reaches this share of the IoU of the run that is best at it."""
HOPELESS = 0.05
"""An IoU of a class below which no run has learned it, whatever the others reach."""
LAST_PART = 0.1
"""Of the epochs, at least one, that a validation curve has to be flat for."""
FLAT = 0.01
"""The most that validation mIoU may rise in that part, mean over seeds."""


def failures(class_iou: Mapping[str, Floats]) -> dict[str, NDArray[np.bool_]]:
    """Loss → `[S, C]`: which runs did not learn which class.

    Args:
        class_iou: loss → test IoU `[S, C]` of each run and class; NaN where the truth has none.
    """
    runs = [values for values in class_iou.values() if len(values)]
    if not runs:
        return {loss: np.zeros(values.shape, np.bool_) for loss, values in class_iou.items()}
    best = np.fmax.reduce(np.concatenate(runs), axis=0)  # [C]
    return {loss: values < np.maximum(LEARNED * best, HOPELESS) for loss, values in class_iou.items()}


def unlearned(failed: NDArray[np.bool_], classes: Sequence[str]) -> list[str]:
    """A remark for each class that some runs `[S, C]` of a loss did not learn."""
    return [
        f"{name} was not learned in {count} of {len(failed)} runs"
        for name, count in zip(classes, failed.sum(axis=0).tolist(), strict=True)
        if count
    ]


def curves(rows: Iterable[Row]) -> Curves:
    """Validation mIoU of each seed, at the threshold rule that ranks, by epoch."""
    by_seed: Curves = {}
    for row in rows:
        if row.split == "val" and row.metric in JUDGED_BY:
            by_seed.setdefault(row.seed, []).append(row)
    return by_seed


def rising(rows: Iterable[Row]) -> float:
    """By how much validation mIoU (mean over seeds) rose in the last part of the training; 0 where a run has one epoch
    alone."""
    rises = []
    for curve in curves(rows).values():
        last = max(1, round(LAST_PART * len(curve)))
        if len(curve) > last:
            rises.append(curve[-1].value - curve[-1 - last].value)
    return float(np.mean(rises)) if rises else 0.0


def targets(losses: Iterable[Curves]) -> dict[int, float]:
    """Percent → the validation mIoU that is so much of the best that any loss reached, mean over its seeds."""
    best = 0.0
    for by_seed in losses:
        points = [point for curve in by_seed.values() for point in curve]
        for epoch in {point.epoch for point in points}:
            best = max(best, float(np.mean([point.value for point in points if point.epoch == epoch])))
    return {percent: percent / 100 * best for percent in QUALITIES}


def first(curve: Curve, target: float) -> Row | None:
    """Where a run first reached a target."""
    return next((point for point in curve if point.value >= target), None)


def time_to_quality(losses: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """A row a loss and quality: `{loss, percent, target, epochs, reached, runs}`.

    `epochs` is the mean over the runs that reached it, None if none did. Seconds are no part of it: they differ from
    machine to machine, and MLflow has them.

    Args:
        losses: loss → its history.
    """
    by_loss = {loss: curves(rows) for loss, rows in losses.items()}
    table = []
    for percent, target in targets(by_loss.values()).items():
        for loss, by_seed in by_loss.items():
            epochs = [point.epoch for curve in by_seed.values() if (point := first(curve, target))]
            row = {"loss": loss, "percent": percent, "target": round(target, 6), "runs": len(by_seed)}
            table.append(row | {"reached": len(epochs), "epochs": float(np.mean(epochs)) if epochs else None})
    return table


def still_rising(rows: Iterable[Row]) -> list[str]:
    """A remark if training ended while validation mIoU still rose."""
    rise = rising(rows)
    return [f"validation mIoU still rose by {100 * rise:.1f} points when training ended"] if rise > FLAT else []
