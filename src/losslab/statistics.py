"""How sure a number is: bootstrap intervals over seeds and images, an exact paired test, a verdict.

Every loss is trained with the same seeds and scored on the same images, so differences are paired by both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

from losslab import metrics

Floats = NDArray[np.float64]

METRICS = ("miou", "dice", "image_dice")
SMALLEST_N = 6
"""With n seeds the smallest two-sided p is 2/2ⁿ: below six it cannot reach 0.05."""


class Resampler:
    """Draws of seeds and images with replacement, the same for every loss.

    All seeds are scored on one test set, so a draw takes seeds and, once for all of them, images.
    """

    def __init__(self, seeds: Sequence[int], images: int, resamples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        share_of_seeds = np.full(len(seeds), 1 / len(seeds))
        share_of_images = np.full(images, 1 / images)
        # Row 0 is the data as it is: the estimate itself.
        self.seed_weights = np.vstack(
            [share_of_seeds, rng.multinomial(len(seeds), share_of_seeds, resamples) / len(seeds)]
        )
        self.image_weights = np.vstack(
            [np.ones(images), rng.multinomial(images, share_of_images, resamples).astype(np.float64)]
        )

    def draws(self, counts: NDArray[np.int64], metric: str) -> Floats:
        """`[1 + resamples]` means over seeds of a metric from counts `[S, N, C, 4]`; the first is the estimate."""
        per_seed = np.stack([_metric(counts[s], metric, self.image_weights) for s in range(len(counts))], axis=1)
        means: Floats = (per_seed * self.seed_weights).sum(axis=1)
        return means


def seed_values(counts: NDArray[np.int64], metric: str) -> Floats:
    """`[S]`: the metric of each seed from counts `[S, N, C, 4]`."""
    everything = np.ones((1, counts.shape[1]))
    return np.array([_metric(of_seed, metric, everything)[0] for of_seed in counts])


def class_iou(counts: NDArray[np.int64]) -> Floats:
    """`[S, C]`: IoU of each class over all images, NaN where truth and prediction have none."""
    tp, fp, fn, _ = np.moveaxis(counts.sum(axis=1).astype(np.float64), -1, 0)
    return metrics.iou(tp, fp, fn)


def interval(draws: Floats, confidence: float) -> tuple[float, float]:
    """Percentile interval of bootstrap draws (Efron, 1979)."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def sign_flip_p(differences: Floats) -> float:
    """Two-sided p of paired differences by flipping their signs (Fisher, 1935): exact up to 13 pairs.

    Returns 1 where all differences are 0, and for a single pair.
    """
    if len(differences) < 2 or not differences.any():
        return 1.0
    result = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(0), axis=0,
        vectorized=True,
    )  # fmt: skip
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being a family, family-wise error kept (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


def _metric(counts: NDArray[np.int64], metric: str, weights: Floats) -> Floats:
    """`[B]`: the metric of one seed's counts `[N, C, 4]` under each row of image weights `[B, N]`."""
    if metric == "image_dice":
        return _image_dice(counts, weights)
    formula = {"miou": metrics.iou, "dice": metrics.dice}[metric]
    tp, fp, fn, _ = (weights @ counts[..., k].astype(np.float64) for k in range(4))  # each [B, C]
    present = tp + fn > 0
    per_class = np.where(present, formula(tp, fp, fn), 0.0)
    with np.errstate(invalid="ignore"):
        mean: Floats = per_class.sum(axis=1) / present.sum(axis=1)
    return mean


def _image_dice(counts: NDArray[np.int64], weights: Floats) -> Floats:
    """Per image the mean Dice over classes in truth or prediction, then the mean over images that have any."""
    tp, fp, fn, _ = np.moveaxis(counts.astype(np.float64), -1, 0)  # each [N, C]
    there = tp + fp + fn > 0
    per_class = np.where(there, metrics.dice(tp, fp, fn), 0.0)
    has_any = there.any(axis=1)
    per_image = per_class.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    with np.errstate(invalid="ignore"):
        mean: Floats = (weights @ per_image) / (weights @ has_any.astype(np.float64))
    return mean
