"""What the scores say beside the leaderboard: classes, sizes, what a tuned threshold is worth.

All of it at the threshold rule that ranks and, unless it says otherwise, in mIoU; intervals as in the leaderboard.
"""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from losslab.comparison import convergence
from losslab.comparison.loss_results import Comparison, LossResult
from losslab.evaluation.aggregates import BACKGROUND, Floats, class_iou_draws
from losslab.evaluation.formulas import iou
from losslab.results.standings import RANKED_BY
from losslab.settings.plans import ComparePlan

SIZES = ("small", "medium", "large")


def analyse(comparison: Comparison, confidence: float) -> dict[str, Any]:
    """`classes`, `sizes`, `threshold_gain`, `time_to_quality` and `remarks` of one comparison; None where nothing can
    be said.

    An object is what one image shows of one class: area and IoU are those of the class's pixels together. Objects are
    small, medium or large by terciles of the areas in the test set, so each third is a third of the objects whatever
    the image size (COCO's bounds of 32² and 96² pixels would call nearly everything small in a 64-pixel image). The
    value of a size is the mean IoU of its objects; pixels predicted where a class is absent belong to no object, and
    background is none.
    """
    rule = comparison.rule
    classes: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    gains: list[dict[str, Any]] = []
    for loss, result in comparison.losses.items():
        per_class = _classes(result, rule)
        classes += [
            {"loss": loss, "class": name} | summary(result, per_class.get(name), confidence)
            for name in comparison.classes
        ]
        sizes += [{"loss": loss} | size for size in _sizes(result, rule, confidence)]
        if rule == "tuned":
            gain = result.values[RANKED_BY, "tuned"] - result.values[RANKED_BY, "fixed"] if result.values else None
            gains.append({"loss": loss} | summary(result, gain, confidence, lowest=-1.0))
    return {
        "classes": classes,
        "sizes": sizes,
        "threshold_gain": gains,
        "time_to_quality": convergence.time_to_quality({o: r.history for o, r in comparison.losses.items()}),
        "remarks": comparison.remarks,
    }


def summary(
    result: LossResult, values: Floats | None, confidence: float, lowest: float = 0.0, highest: float = 1.0
) -> dict[str, float | None]:
    """`mean`, `low` and `high` of values `[1 + resamples, S]`, within what the value can be; None without values."""
    if values is None or np.isnan(values[0]).any():
        return {"mean": None, "low": None, "high": None}
    ends = np.clip([values[0].mean(), *result.resampler.interval(values, confidence)], lowest, highest)
    return dict(zip(("mean", "low", "high"), (round(float(end), 6) for end in ends), strict=True))


def _classes(result: LossResult, rule: str) -> dict[str, Floats]:
    """Each class's IoU, `[1 + resamples, S]`; nothing without scores."""
    if not result.values:
        return {}
    draws = class_iou_draws(result.scores.counts[rule], result.resampler.sums)
    return dict(zip(result.scores.classes, np.moveaxis(draws, -1, 0), strict=True))


def _sizes(result: LossResult, rule: str, confidence: float) -> list[dict[str, Any]]:
    """A row per size, the same objects for every loss and seed."""
    tables = result.scores.counts  # a loss without scores has none of this rule
    counts = tables[rule].astype(np.float64) if result.values else np.zeros((1, 0, 0, 4))  # [S, N, C, 4]
    areas = counts[0, ..., 0] + counts[0, ..., 2]  # [N, C]
    areas[:, [name == BACKGROUND for name in result.scores.classes]] = 0
    object_iou = iou(*np.moveaxis(counts[..., :3], -1, 0))
    rows = []
    for size, group in zip(SIZES, size_groups(areas), strict=True):
        values = None
        if group.any():
            inside = np.where(group, object_iou, 0.0).sum(-1).T  # [N, S]
            number = result.resampler.sums(group.sum(-1, keepdims=True))
            values = result.resampler.sums(inside) / np.where(number > 0, number, np.nan)
        row = {"size": size, "objects": int(group.sum())} | _span(areas[group])
        rows.append(row | summary(result, values, confidence))
    return rows


def size_groups(areas: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Which of the areas (0: no object) are small, medium and large: bounds at the terciles, equal areas together."""
    shown = areas > 0
    first, second = np.quantile(areas[shown], [1 / 3, 2 / 3]) if shown.any() else (0.0, 0.0)
    return [shown & (areas <= first), shown & (first < areas) & (areas <= second), shown & (second < areas)]


def _span(areas: NDArray[np.float64]) -> dict[str, int | None]:
    ends = (int(areas.min()), int(areas.max())) if areas.size else (None, None)
    return dict(zip(("smallest_area", "largest_area"), ends, strict=True))


def families(plan: ComparePlan) -> list[dict[str, Any]]:
    """Losses of the grid that are sums of the same terms with other weights: `{name, x_label, members: [{x, loss}]}`.

    Terms are the same if all their options are. Members differ in one weight, which is x (as in MSE + x · Dice), or in
    two whose sum is constant; then x is the first of them (as in x · MSE + (1 − x) · Dice). Others are no family.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for loss in plan.grid.losses:
        spec = plan.losses[loss]
        if spec["kind"] == "sum":
            terms = json.dumps([term["loss"] for term in spec["terms"]], sort_keys=True)
            groups.setdefault(terms, {})[loss] = [float(term.get("weight", 1.0)) for term in spec["terms"]]
    result = []
    for terms, members in groups.items():
        weights = np.array(list(members.values()))  # [L, terms]
        varied = np.flatnonzero((weights != weights[0]).any(axis=0))
        if len(varied) == 1 or (len(varied) == 2 and np.allclose(weights.sum(axis=1), weights[0].sum())):
            kinds = [term["kind"] for term in json.loads(terms)]
            points = [{"x": row[varied[0]], "loss": loss} for loss, row in members.items()]
            points.sort(key=lambda point: point["x"])
            result.append({"name": " + ".join(kinds), "x_label": f"weight of {kinds[varied[0]]}", "members": points})
    return result
