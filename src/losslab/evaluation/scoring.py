"""Masks to metrics in a script of one's own: this is `losslab.metrics`.

`METRICS` is what the leaderboard has, with titles and definitions; `of_masks` gives them all.
"""

from collections.abc import Iterable

from torch import Tensor

from losslab.evaluation.aggregates import Draws, unweighted
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.metrics import METRICS, compute
from losslab.evaluation.pixel_counts import pixel_counts

__all__ = ["METRICS", "of_masks"]


def of_masks(
    predicted: Tensor,
    target: Tensor,
    boundary_tolerance: float = 2.0,
    metrics: Iterable[str] = (),
    probabilities: Tensor | None = None,
) -> dict[str, float]:
    """Every metric that applies to predicted masks, as the leaderboard has it for one seed; NaN where there is nothing.

    Args:
        predicted: boolean `[N, C, H, W]`.
        target: planes of 0 and 1, or of 255 where it is unknown, of the same shape.
        boundary_tolerance: how many pixels a boundary may lie off the true one and still be right.
        metrics: what else is measured, as in `evaluate.metrics`.
        probabilities: in [0, 1], of the same shape, if `metrics` has calibration.

    Raises:
        InputError: there is no such metric, or probabilities are missing.

    >>> import torch
    >>> predicted, target = torch.zeros(2, 1, 1, 4, 4)
    >>> predicted[..., :2], target[..., 1:3] = 1, 1
    >>> of_masks(predicted.bool(), target)["miou"] == 4 / 12
    True
    """
    counts = pixel_counts(predicted, target).cpu().numpy()
    boundaries = compare_boundaries(predicted, target, boundary_tolerance).numpy()
    extras = measure(metrics, predicted[None], target, probabilities)
    computed = compute(Draws(counts[None], boundaries[None], unweighted, extras=extras))
    return {name: float(value[0, 0]) for name, value in computed.items()}
