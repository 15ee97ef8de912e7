"""From counts and boundaries of images to what metrics are made of: sums over images, means over images and classes.

Every function takes a way to sum over images, so that the data as they are and any number of resamples of them are one
computation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from losslab.evaluation.formulas import iou
from losslab.results.scores import Counts

BACKGROUND = "background"
"""The class that is no object, as `losslab.data.tensors` has it: what compares scores need not follow that code."""

Floats = NDArray[np.float64]
Table = NDArray[np.number] | NDArray[np.bool_]
Sums = Callable[[Table], Floats]
"""From a table `[N, ...]` to its sums over images `[D, ...]`, under each of D weightings."""


def unweighted(table: Table) -> Floats:
    """Sums over all images, each once: `[N, ...]` → `[1, ...]`."""
    total: Floats = table.sum(axis=0, keepdims=True).astype(np.float64)
    return total


class Draws:
    """Counts and boundaries of some seeds on the same images, under each of D weightings of the images.

    Args:
        counts: `[S, N, C, 4]`: tp, fp, fn, tn.
        boundaries: `[S, N, C, 5]`, in the order of `results.boundary_scores.COLUMNS`.
        sums: the weightings.
        classes: their names, where one may be background.
        exclusive: whether every known pixel has one class, and every decision is for one.
        extras: what `evaluate.metrics` had measured, by name `[S, N, C, K]`, in the order of `results.scores.EXTRAS`.
    """

    def __init__(
        self,
        counts: Counts,
        boundaries: Floats,
        sums: Sums,
        classes: Sequence[str] = (),
        exclusive: bool = False,
        extras: Mapping[str, Floats] | None = None,
    ) -> None:
        self.counts, self.boundaries, self.sums = counts, boundaries, sums
        self.exclusive, self.extras = exclusive, extras or {}
        self.foreground = np.array([name != BACKGROUND for name in classes] or [True] * counts.shape[2])
        """Bool `[C]`."""

    @cached_property
    def pooled(self) -> Floats:
        """`[4, D, S, C]`: tp, fp, fn, tn of all images."""
        return self._pooled(self.counts)

    def pooled_extra(self, name: str) -> Floats:
        """`[K, D, S, C]`: what an extra metric is made of, of all images."""
        return self._pooled(self.extras[name])

    def _pooled(self, values: Table) -> Floats:
        return np.moveaxis(self.sums(np.moveaxis(values, 0, 1)), -1, 0)

    def mean_over_classes(
        self, formula: Callable[[Floats, Floats, Floats], Floats], *, background: bool = True
    ) -> Floats:
        """`[D, S]`: a formula of each class's pooled tp, fp and fn, the mean over the classes in the truth; without the
        class `background`, if so asked."""
        tp, fp, fn, _ = self.pooled
        return self.mean_of_classes(formula(tp, fp, fn), background=background)

    def mean_of_classes(self, values: Floats, *, background: bool = True) -> Floats:
        """`[D, S]`: the mean of values `[D, S, C]` over the classes in the truth; without the class `background`, if so
        asked."""
        tp, _, fn, _ = self.pooled
        present = (tp + fn > 0) & (background | self.foreground)
        return quotient(np.where(present, values, 0.0).sum(-1), present.sum(-1))

    def of_objects(self, values: Floats) -> Floats:
        """`[S, N, C]`: the values without those of the class `background`, which is no object."""
        return np.where(self.foreground, values, np.nan)

    def mean_over_images(self, values: Floats) -> Floats:
        """As the function of this name."""
        return mean_over_images(values, self.sums)


def mean_over_images(values: Floats, sums: Sums) -> Floats:
    """`[D, S]`: the mean of `image_means` over the images that have any."""
    per_image = image_means(values)
    has_any: NDArray[np.bool_] = ~np.isnan(per_image)
    return quotient(sums(np.where(has_any, per_image, 0.0).T), sums(has_any.T))


def image_means(values: Floats) -> Floats:
    """`[S, N]`: per image the mean over its classes, from values `[S, N, C]`, NaN for a class in neither truth nor
    prediction; NaN where an image has none."""
    present: NDArray[np.bool_] = ~np.isnan(values)
    return quotient(np.where(present, values, 0.0).sum(-1), present.sum(-1))


def class_iou(counts: Counts) -> Floats:
    """`[S, C]`: IoU of each class over all images, NaN where truth and prediction have none."""
    return iou(*np.moveaxis(counts[..., :3].sum(axis=1).astype(np.float64), -1, 0))


def class_iou_draws(counts: Counts, sums: Sums) -> Floats:
    """`[D, S, C]`: IoU of each class from counts `[S, N, C, 4]`, NaN where the truth has none."""
    tp, fp, fn, _ = np.moveaxis(sums(np.moveaxis(counts, 0, 1)), -1, 0)
    return np.where(tp + fn > 0, iou(tp, fp, fn), np.nan)


def quotient(total: Floats, number: Floats) -> Floats:
    """total / number; NaN, without a warning, where there is none."""
    with np.errstate(invalid="ignore"):
        mean: Floats = total / number
    return mean
