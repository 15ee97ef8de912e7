"""What the overlap losses share: soft counts of the probabilities, one number for each overlap, and their mean."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.class_weights import PlaneWeights, listed
from losslab.losses.shared.soft_counts import Reduce, soft_counts
from losslab.settings.schema import NonNegative

Empty = Literal["count", "skip"]
"""`count`: an overlap with an empty mask is one like any other. `skip`: it is left out of the mean."""

TINY = 1e-7
"""Lower bound of a denominator: less than any soft count that matters."""


def _with_softmax(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("activation") != "softmax":
        raise PydanticCustomError("losslab", "only a softmax has a background; add activation: softmax")
    return value


IncludeBackground = Annotated[bool, AfterValidator(_with_softmax), Field(description="true, false")]
"""Whether the background of a softmax is an overlap like those of the classes."""


@dataclass(frozen=True, kw_only=True)
class Overlap(Activated):
    """A loss that is a mean over overlaps, each a function of tp, fp and fn alone."""

    smooth: NonNegative = 1.0
    reduce: Reduce = "batch"
    empty: Empty = "count"
    include_background: IncludeBackground = False
    class_weights: PlaneWeights = "none"
    """In the mean over classes, the background's first if it is included."""

    @abstractmethod
    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        """The loss of each overlap: `[N, C]` for `reduce="sample"`, `[C]` for `"batch"`."""

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known, self.include_background)
        tp, fp, fn = soft_counts(p, truth, self.reduce)
        values = self.of_counts(tp, fp, fn)
        if self.empty == "count" and self.class_weights == "none":
            return values.mean()
        weights = torch.ones_like(values) if self.empty == "count" else (tp + fn > 0.5).to(values.dtype)
        least = 1.0
        if self.class_weights != "none":
            weights = weights * listed(self.class_weights, values, values.shape[-1])
            least = TINY
        return (values * weights).sum() / weights.sum().clamp_min(least)
