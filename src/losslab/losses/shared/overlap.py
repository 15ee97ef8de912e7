"""What the overlap losses share: soft counts of the sigmoid, one number for each overlap, and their mean."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from losslab.losses.loss import Loss
from losslab.losses.shared.soft_counts import Reduce, soft_counts
from losslab.settings.schema import NonNegative

Empty = Literal["count", "skip"]
"""`count`: an overlap with an empty mask is one like any other. `skip`: it is left out of the mean."""

TINY = 1e-7
"""Lower bound of a denominator: less than any soft count that matters."""


@dataclass(frozen=True, kw_only=True)
class Overlap(Loss):
    """A loss that is a mean over overlaps, each a function of tp, fp and fn alone."""

    smooth: NonNegative = 1.0
    reduce: Reduce = "batch"
    empty: Empty = "count"

    @abstractmethod
    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        """The loss of each overlap: `[N, C]` for `reduce="sample"`, `[C]` for `"batch"`."""

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        tp, fp, fn = soft_counts(self.probabilities(logits), target, self.reduce)
        values = self.of_counts(tp, fp, fn)
        if self.empty == "count":
            return values.mean()
        present = (tp + fn > 0.5).to(values.dtype)
        return (values * present).sum() / present.sum().clamp_min(1)
