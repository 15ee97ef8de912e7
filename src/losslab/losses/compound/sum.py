from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor

from losslab.losses import KINDS, LossSpec
from losslab.losses.loss import Loss, Output
from losslab.settings.schema import NonNegative, Section


class Term(Section):
    """One term: a loss and its weight."""

    loss: LossSpec
    weight: NonNegative = 1.0


def _of_one_activation(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The terms as they are, if all make the same of logits: a model has one activation."""
    kinds = {term.loss.output: _name(term.loss) for term in reversed(terms)}
    if len(kinds) > 1:
        mixed = " and ".join(f"{name} ({output})" for output, name in reversed(kinds.items()))
        hint = "; give every term but cross_entropy activation: softmax" if "softmax" in kinds else ""
        message = f"a model has one activation, these have several: {mixed}{hint}"
        raise PydanticCustomError("losslab", "{message}", {"message": message})
    return terms


def _name(loss: Loss) -> str:
    kinds = {place.rpartition(":")[2]: kind for kind, place in KINDS.items()}
    return kinds.get(type(loss).__name__, type(loss).__name__)


@dataclass(frozen=True, kw_only=True)
class Sum(Loss):
    """Weighted sum of losses.

    L = Σ wᵢ·Lᵢ(logits, target).

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0.

    Convention: all terms have the same activation, sigmoid unless they say otherwise; another's is an error.
    Cross-entropy + Dice as the field means it is `cross_entropy` and `dice` with `activation: softmax`, and
    with sigmoids `bce` and `dice`. Weights are used as they are given, not normalised. Terms differ in scale
    and in how it changes with the object's size, so a weight is not a share of the gradient. Terms may be
    sums.

    Helps: pixelwise and overlap terms together are the most used of all: a steady start and a balanced end.

    Reference: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image
    segmentation", Nature Methods 2021, for cross-entropy + Dice.
    """

    float_target = False  # each term has it as it likes

    terms: Annotated[
        tuple[Term, ...],
        Field(min_length=1, description="list of {loss, weight}"),
        AfterValidator(_of_one_activation),
    ]

    def __post_init__(self) -> None:
        if self.exclusive:
            terms = self._with(lambda loss: replace(loss, exclusive=True))
            object.__setattr__(self, "terms", _of_one_activation(terms))

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None, maps: Tensor | None = None) -> Tensor:
        first, *others = (
            term.weight * term.loss.of_known(logits, target, known, self._maps_for(term.loss, maps))
            for term in self.terms
        )
        return sum(others, start=first)

    @property
    def output(self) -> Output:
        """What all terms make of logits."""
        return self.terms[0].loss.output

    def fitted(self, masks: Tensor) -> Loss:
        """With every term fitted."""
        return replace(self, terms=self._with(lambda loss: loss.fitted(masks)))

    def _with(self, change: Callable[[Loss], Loss]) -> tuple[Term, ...]:
        return tuple(term.model_copy(update={"loss": change(term.loss)}) for term in self.terms)

    @property
    def maps_of(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the terms use, each once."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.loss.maps_of))

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """The maps that the terms share, in the order of `maps_of`: `[N, k·C, H, W]`."""
        made: dict[str, Tensor] = {}
        for loss in (term.loss for term in self.terms):
            if not made.keys() >= set(loss.maps_of):
                maps = loss.target_maps(masks)
                assert maps is not None
                made |= zip(loss.maps_of, maps.chunk(len(loss.maps_of), 1), strict=True)
        return torch.cat([made[name] for name in self.maps_of], 1) if made else None

    def _maps_for(self, loss: Loss, maps: Tensor | None) -> Tensor | None:
        if maps is None or not loss.maps_of or loss.maps_of == self.maps_of:
            return maps
        shared = dict(zip(self.maps_of, maps.chunk(len(self.maps_of), 1), strict=True))
        return torch.cat([shared[name] for name in loss.maps_of], 1)

    def probabilities(self, logits: Tensor) -> Tensor:
        """As every term has them."""
        return self.terms[0].loss.probabilities(logits)
