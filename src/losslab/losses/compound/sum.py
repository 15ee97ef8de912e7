from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from torch import Tensor

from losslab.losses import LossSpec
from losslab.losses.loss import Loss
from losslab.settings.schema import NonNegative, Section


class Term(Section):
    """One term: a loss and its weight."""

    loss: LossSpec
    weight: NonNegative = 1.0


@dataclass(frozen=True, kw_only=True)
class Sum(Loss):
    """Weighted sum of losses.

    L = Σ wᵢ·Lᵢ(logits, target).

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0.

    Convention: every term applies its own activation; predictions use the first term's. Weights are used as
    they are given, not normalised. Terms differ in scale and in how it changes with the object's size, so a
    weight is not a share of the gradient. Terms may be sums.

    Helps: pixelwise and overlap terms together are the most used of all: a steady start and a balanced end.

    Reference: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", Nature Methods 2021, for cross-entropy + Dice.
    """

    float_target = False  # each term has it as it likes

    terms: Annotated[tuple[Term, ...], Field(min_length=1, description="list of {loss, weight}")]

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.value_with_maps(logits, target, None)

    def value_with_maps(self, logits: Tensor, target: Tensor, maps: Tensor | None) -> Tensor:
        first, *others = (term.weight * term.loss(logits, target, maps) for term in self.terms)
        return sum(others, start=first)

    def fitted(self, masks: Tensor) -> Loss:
        """With every term fitted."""
        terms = (term.model_copy(update={"loss": term.loss.fitted(masks)}) for term in self.terms)
        return replace(self, terms=tuple(terms))

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """The maps that the terms share, if one of them uses them."""
        maps = (term.loss.target_maps(masks) for term in self.terms)
        return next((of_term for of_term in maps if of_term is not None), None)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The first term's probabilities, `[N, C, H, W]` float32."""
        return self.terms[0].loss.probabilities(logits)
