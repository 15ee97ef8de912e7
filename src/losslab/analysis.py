"""What the scores say beside the leaderboard: chances to be best, classes, sizes, what a tuned threshold is worth.

All of it at the tuned threshold and, unless it says otherwise, in mIoU; intervals as in the leaderboard.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from losslab import metrics, statistics
from losslab.comparison import Comparison, Evidence
from losslab.files import write_json
from losslab.statistics import Floats

SIZES = ("small", "medium", "large")


def analyse(comparison: Comparison, confidence: float) -> dict[str, Any]:
    """`best_probability`, `classes`, `sizes`, `threshold_gain` and `remarks` of one data set; None where nothing can
    be said.

    An object is what one image shows of one class: area and IoU are those of the class's pixels together. Objects are
    small, medium or large by terciles of the areas in the test set, so each third is a third of the objects whatever
    the image size (COCO's bounds of 32² and 96² pixels would call nearly everything small in a 64-pixel image). The
    value of a size is the mean IoU of its objects; pixels predicted where a class is absent belong to no object.
    """
    classes: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    gains: list[dict[str, Any]] = []
    for loss, found in comparison.losses.items():
        per_class = _classes(found)
        classes += [
            {"loss": loss, "class": name} | summary(found, per_class.get(name), confidence)
            for name in comparison.classes
        ]
        sizes += [{"loss": loss} | size for size in _sizes(found, confidence)]
        gain = found.values["miou", "tuned"] - found.values["miou", "fixed"] if found.values else None
        gains.append({"loss": loss} | summary(found, gain, confidence, lowest=-1.0))
    return {
        "best_probability": best_probability(comparison),
        "classes": classes,
        "sizes": sizes,
        "threshold_gain": gains,
        "remarks": comparison.remarks,
    }


def best_probability(comparison: Comparison) -> dict[str, float | None]:
    """Per loss the share of draws in which its tuned mIoU is the highest, over the seeds that all rivals have.

    None for a loss that cannot be compared, and for all where fewer than two losses or two common seeds are left.
    """
    shares: dict[str, float | None] = dict.fromkeys(comparison.losses)
    rivals = comparison.rivals()
    common = set.intersection(*(set(found.scores.seeds) for found in rivals.values())) if len(rivals) > 1 else set()
    if len(common) > 1:
        values = [found.of("miou", "tuned", sorted(common)) for found in rivals.values()]
        if not np.isnan(values).any():
            best = next(iter(rivals.values())).resampler.shares_of_best(values).tolist()
            shares |= {loss: round(share, 4) for loss, share in zip(rivals, best, strict=True)}
    return shares


def summary(
    found: Evidence, values: Floats | None, confidence: float, lowest: float = 0.0, highest: float = 1.0
) -> dict[str, float | None]:
    """`mean`, `low` and `high` of values `[1 + resamples, S]`, within what the value can be; None without values."""
    if values is None or np.isnan(values[0]).any():
        return {"mean": None, "low": None, "high": None}
    ends = np.clip([values[0].mean(), *found.resampler.interval(values, confidence)], lowest, highest)
    return dict(zip(("mean", "low", "high"), (round(float(end), 6) for end in ends), strict=True))


def write(path: Path, found: dict[str, dict[str, Any]]) -> None:
    """Write what `analyse` gave, by data set, as JSON."""
    write_json(path, found)


def _classes(found: Evidence) -> dict[str, Floats]:
    """Each class's IoU, `[1 + resamples, S]`; nothing without scores."""
    if not found.values:
        return {}
    draws = statistics.class_iou_draws(found.scores.counts["tuned"], found.resampler.sums)
    return dict(zip(found.scores.classes, np.moveaxis(draws, -1, 0), strict=True))


def _sizes(found: Evidence, confidence: float) -> list[dict[str, Any]]:
    """A row per size, the same objects for every loss and seed."""
    counts = found.scores.counts["tuned"].astype(np.float64)  # [S, N, C, 4]
    areas = counts[0, ..., 0] + counts[0, ..., 2] if found.values else np.zeros((0, 0))  # [N, C]
    iou = metrics.iou(*np.moveaxis(counts[..., :3], -1, 0))
    rows = []
    for size, group in zip(SIZES, size_groups(areas), strict=True):
        values = None
        if group.any():
            inside = np.where(group, iou, 0.0).sum(-1).T  # [N, S]
            number = found.resampler.sums(group.sum(-1, keepdims=True))
            values = found.resampler.sums(inside) / np.where(number > 0, number, np.nan)
        row = {"size": size, "objects": int(group.sum())} | _span(areas[group])
        rows.append(row | summary(found, values, confidence))
    return rows


def size_groups(areas: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Which of the areas (0: no object) are small, medium and large: bounds at the terciles, equal areas together."""
    there = areas > 0
    first, second = np.quantile(areas[there], [1 / 3, 2 / 3]) if there.any() else (0.0, 0.0)
    return [there & (areas <= first), there & (first < areas) & (areas <= second), there & (second < areas)]


def _span(areas: NDArray[np.float64]) -> dict[str, int | None]:
    ends = (int(areas.min()), int(areas.max())) if areas.size else (None, None)
    return dict(zip(("smallest_area", "largest_area"), ends, strict=True))
