"""How sure a number is: draws over seeds and images, intervals, an exact paired test.

Every loss is trained with the same seeds and scored on the same images, so differences are paired by both.

- **Images** are resampled with replacement (Efron, "Bootstrap methods", 1979), once for all seeds and losses.
- **Seeds** are few, and resampling few values gives intervals that are too short: where seeds differ by 5 points, 95 %
  intervals of a difference held the truth in 75, 85 and 90 % of simulations with 3, 5 and 8 seeds. So to each draw of
  images is added a draw of Student's t distribution with S − 1 degrees of freedom, times s/√S, where s is the deviation
  between seeds. That is exact where seeds are normally distributed, whatever S, and held the truth in 94, 95 and 95 %.
  Where one run in six fails outright it was 91 to 92 % for a mean: few seeds cannot show what is rare. One seed has no
  deviation: its interval covers images only.

The figures are those of `python benchmarks/coverage_of_intervals.py --simulations 1000`.
"""

from collections.abc import Callable, Sequence
from math import log2

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from losslab import boundaries, metrics

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Table = NDArray[np.number] | NDArray[np.bool_]
Sums = Callable[[Table], Floats]
"""From a table `[N, ...]` to its sums over images `[D, ...]`, under each of D weightings."""

METRICS = ("miou", "dice", "image_dice", "pixel_accuracy", "precision", "recall")
BOUNDARY_METRICS = ("boundary_f", "hd95")
LOWER_IS_BETTER = ("hd95",)

_BLOCK = 256
"""Draws that are weighed at once: bounds memory."""
_ENUMERATED = 14
"""Up to so many pairs, all signs are enumerated."""


def unweighted(table: Table) -> Floats:
    """Sums over all images, each once: `[N, ...]` → `[1, ...]`."""
    total: Floats = table.sum(axis=0, keepdims=True).astype(np.float64)
    return total


class Resampler:
    """Draws of images and seeds. Draw 0 is the data as they are: the estimate itself."""

    def __init__(self, images: int, resamples: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.seed = seed
        self.draws = 1 + resamples
        self.image_weights = np.ones((self.draws, images), np.uint16)
        for start in range(1, self.draws, _BLOCK):
            block = self.image_weights[start : start + _BLOCK]
            drawn = rng.integers(images, size=block.shape) + images * np.arange(len(block))[:, None]
            block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)

    def sums(self, table: Table) -> Floats:
        """`[N, ...]` → `[1 + resamples, ...]`: its sums over the images of every draw."""
        flat = table.reshape(len(table), -1).astype(np.float64)
        found = np.empty((self.draws, flat.shape[1]))
        for start in range(0, self.draws, _BLOCK):
            block = slice(start, start + _BLOCK)
            found[block] = self.image_weights[block].astype(np.float64) @ flat
        return found.reshape(self.draws, *table.shape[1:])

    def interval(self, values: Floats, confidence: float) -> tuple[float, float]:
        """Where the mean over seeds and images lies, an equal chance of missing it on either side.

        Args:
            values: `[1 + resamples, S]`, one number for each seed and draw of images; differences, for a difference.
            confidence: how often the interval is to hold the mean.

        Returns:
            Its ends; NaN where no draw has anything to measure.
        """
        draws = values[1:].mean(axis=1) + self._spread_of_means(values[0])
        measured = draws[~np.isnan(draws)]
        if not len(measured):
            return np.nan, np.nan
        tail = (1 - confidence) / 2
        low, high = np.quantile(measured, [tail, 1 - tail])
        return float(low), float(high)

    def _spread_of_means(self, values: Floats) -> Floats:
        """`[resamples]`: how far means over other seeds may lie from the mean of these values `[S]`."""
        seeds, draws = len(values), self.draws - 1
        if seeds == 1:
            return np.zeros(draws)
        # Quantiles in random order, not random numbers: tails of t are long, and the ends would be noisy.
        ranks = np.random.default_rng([self.seed, 1]).permutation(draws)
        found: Floats = stdtrit(seeds - 1, (ranks + 0.5) / draws) * values.std(ddof=1) / np.sqrt(seeds)
        return found

    def shares_of_best(self, values: Sequence[Floats]) -> Floats:
        """`[L]`: in what share of draws each loss has the highest mean; a tie counts in parts.

        Args:
            values: for each loss `[1 + resamples, S]`, of the same seeds, two or more.
        """
        # t, as in intervals, for all losses together: weights with Σ wₛ·yₛ = mean(y) + t · s/√S for any values y. A
        # normal vector without its mean, taken along y, has deviation s·√(S − 1); a shared χ² makes it t.
        draws, seeds = self.draws - 1, values[0].shape[1]
        rng = np.random.default_rng([self.seed, 2])
        normal = rng.normal(size=(draws, seeds))
        normal -= normal.mean(axis=1, keepdims=True)
        spread = np.sqrt(rng.chisquare(seeds - 1, (draws, 1)) / (seeds - 1))
        weights = 1 / seeds + normal / spread / np.sqrt(seeds * (seeds - 1))
        means = np.stack([(weights * of_loss[1:]).sum(axis=1) for of_loss in values], axis=1)
        best = means == means.max(axis=1, keepdims=True)
        shares: Floats = np.mean(best / best.sum(axis=1, keepdims=True), axis=0)
        return shares


def from_counts(counts: Counts, sums: Sums) -> dict[str, Floats]:
    """Each of `METRICS`, `[D, S]`, from counts `[S, N, C, 4]`; NaN where there is nothing to measure.

    mIoU, Dice, precision and recall pool a class's pixels over images and are means over the classes in the truth.
    Image Dice is a mean over images (see `mean_over_images`). Pixel accuracy is the share of all decisions, one per
    pixel and class, that are right: torchmetrics' micro-averaged multilabel accuracy, or 1 − Hamming loss.
    """
    tp, fp, fn, tn = np.moveaxis(sums(np.moveaxis(counts, 0, 1)), -1, 0)  # each [D, S, C]
    present = tp + fn > 0
    found = {
        name: _mean(np.where(present, formula(tp, fp, fn), 0.0).sum(-1), present.sum(-1))
        for name, formula in (
            ("miou", metrics.iou),
            ("dice", metrics.dice),
            ("precision", metrics.precision),
            ("recall", metrics.recall),
        )
    }
    found["pixel_accuracy"] = _mean((tp + tn).sum(-1), (tp + fp + fn + tn).sum(-1))
    found["image_dice"] = mean_over_images(metrics.dice(*np.moveaxis(counts[..., :3].astype(np.float64), -1, 0)), sums)
    return found


def from_boundaries(values: Floats, sums: Sums) -> dict[str, Floats]:
    """Each of `BOUNDARY_METRICS`, `[D, S]`, from boundaries `[S, N, C, 5]`; means over images."""
    return {
        "boundary_f": mean_over_images(boundaries.f_score(values), sums),
        "hd95": mean_over_images(values[..., 4], sums),
    }


def mean_over_images(values: Floats, sums: Sums) -> Floats:
    """`[D, S]` from values `[S, N, C]`, NaN for a class in neither truth nor prediction: per image the mean over its
    classes, then the mean over images that have any."""
    there: NDArray[np.bool_] = ~np.isnan(values)
    per_image = np.where(there, values, 0.0).sum(-1) / np.maximum(there.sum(-1), 1)
    has_any: NDArray[np.bool_] = np.any(there, axis=-1)
    return _mean(sums(per_image.T), sums(has_any.T))


def class_iou(counts: Counts) -> Floats:
    """`[S, C]`: IoU of each class over all images, NaN where truth and prediction have none."""
    return metrics.iou(*np.moveaxis(counts[..., :3].sum(axis=1).astype(np.float64), -1, 0))


def class_iou_draws(counts: Counts, sums: Sums) -> Floats:
    """`[D, S, C]`: IoU of each class from counts `[S, N, C, 4]`, NaN where the truth has none."""
    tp, fp, fn, _ = np.moveaxis(sums(np.moveaxis(counts, 0, 1)), -1, 0)
    return np.where(tp + fn > 0, metrics.iou(tp, fp, fn), np.nan)


def sign_flip_p(differences: Floats) -> float:
    """Two-sided p of paired differences by flipping their signs (Fisher, 1935): exact up to 14 pairs.

    Says how rarely chance alone would give a mean difference so large, on this test set, if neither were better.
    Returns 1 where all differences are 0, and for a single pair.
    """
    pairs = len(differences)
    if pairs < 2 or not differences.any():
        return 1.0
    exact = pairs <= _ENUMERATED
    if exact:
        flips = np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1
    else:
        flips = np.random.default_rng(0).integers(2, size=(9999, pairs))
    sums = np.abs((1 - 2 * flips) @ differences)
    reached = int((sums >= abs(differences.sum()) * (1 - 1e-12)).sum())
    return reached / len(flips) if exact else (reached + 1) / (len(flips) + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being a family, family-wise error kept (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


def smallest_p(pairs: int) -> float:
    """The smallest p that `sign_flip_p` can give: all differences of one sign."""
    return 1.0 if pairs < 2 else max(2 / 2**pairs, 1 / 10_000 if pairs > _ENUMERATED else 0.0)


def seeds_needed(comparisons: int, confidence: float) -> int:
    """The fewest seeds with which the first of so many comparisons can be called: comparisons · 2/2ⁿ ≤ 1 − confidence.

    Six seeds for one comparison at 0.95, eight for five.
    """
    return max(2, int(np.ceil(log2(2 * max(comparisons, 1) / (1 - confidence)) - 1e-9)))


def _mean(total: Floats, number: Floats) -> Floats:
    """total / number; NaN, without a warning, where there is none."""
    with np.errstate(invalid="ignore"):
        mean: Floats = total / number
    return mean
