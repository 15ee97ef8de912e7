"""What did not converge: classes that some runs never learned, validation that still rose when training ended.

A ranking of networks that were stopped while they learned says which loss is fast, not which is good.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from losslab.evaluation.aggregates import Floats
from losslab.results.history import JUDGED_BY, Row

LEARNED = 0.5
"""A run has learned a class if it reaches this share of the IoU of the run that is best at it."""
HOPELESS = 0.05
"""An IoU of a class below which no run has learned it, whatever the others reach."""
LAST_PART = 0.1
"""Of the epochs, at least one, that a validation curve has to be flat for."""
FLAT = 0.01
"""The most that validation mIoU may rise in that part, mean over seeds."""


def unlearned(class_iou: Mapping[str, Floats], classes: Sequence[str]) -> dict[str, list[str]]:
    """Loss → a remark for each class that some of its runs did not learn.

    Args:
        class_iou: loss → test IoU `[S, C]` of each run and class; NaN where the truth has none.
        classes: their names.
    """
    runs = [values for values in class_iou.values() if len(values)]
    if not runs:
        return {loss: [] for loss in class_iou}
    best = np.fmax.reduce(np.concatenate(runs), axis=0)  # [C]
    enough = np.maximum(LEARNED * best, HOPELESS)
    return {
        loss: [
            f"{name} was not learned in {count} of {len(values)} runs"
            for name, count in zip(classes, (values < enough).sum(axis=0).tolist(), strict=True)
            if count
        ]
        for loss, values in class_iou.items()
    }


def rising(rows: Iterable[Row]) -> float:
    """By how much validation mIoU (by the rule that ranks, mean over seeds) rose in the last part of the training; 0
    where a run has one epoch alone."""
    curves: dict[int, list[float]] = {}
    for row in rows:
        if row.split == "val" and row.metric in JUDGED_BY:
            curves.setdefault(row.seed, []).append(row.value)
    rises = []
    for curve in curves.values():
        last = max(1, round(LAST_PART * len(curve)))
        if len(curve) > last:
            rises.append(curve[-1] - curve[-1 - last])
    return float(np.mean(rises)) if rises else 0.0


def still_rising(rows: Iterable[Row]) -> list[str]:
    """A remark if training ended while validation mIoU still rose."""
    rise = rising(rows)
    return [f"validation mIoU still rose by {100 * rise:.1f} points when training ended"] if rise > FLAT else []
