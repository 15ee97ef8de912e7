from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.loss import Activated, Loss, mean
from losslab.losses.shared.class_weights import PosWeight, balanced_pos_weight, pos_weight
from losslab.losses.shared.softmax import surprisals


@dataclass(frozen=True, kw_only=True)
class BCE(Activated):
    """Binary cross-entropy per plane and pixel.

    L = mean of −[w·t·ln p + (1 − t)·ln(1 − p)], with p = activation(logit), computed from
    the logits.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; mean over everything, weights not divided out; an empty mask is a target
    like any other; classes are independent, so planes may overlap. `pos_weight`: none (w = 1), a number, one
    number a class, or balanced (background pixels per foreground pixel of the class over the training masks;
    over the batch until `fitted`). `label_smoothing` ε replaces t by (1 − ε)·t + ε/2, so that the best value
    is above 0 and is reached at p = t'; without it 0 is reached only in the limit of infinite logits.

    Helps: the first thing to try; calibrated probabilities. Where foreground is rare threshold 0.5 is too
    high: tune the threshold, or set `pos_weight`.

    Reference: Good, "Rational decisions", 1952; label smoothing: Szegedy et al., "Rethinking the Inception
    architecture for computer vision", CVPR 2016.
    """

    pos_weight: PosWeight = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        weight = pos_weight(self.pos_weight, target, known)
        softmax = self.output == "softmax"
        truth = self.truth(target) if softmax else target
        if self.label_smoothing:
            truth = truth.lerp(truth.new_full((), 0.5), self.label_smoothing)
        if softmax:
            hit, rest = surprisals(logits, self.exclusive)
            return mean(truth * hit * (1 if weight is None else weight) + (1 - truth) * rest, known)
        if known is None:
            return binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)
        return mean(binary_cross_entropy_with_logits(logits, truth, pos_weight=weight, reduction="none"), known)

    def fitted(self, masks: Tensor) -> Loss:
        """With balanced weights as those of all the training masks."""
        if self.pos_weight != "balanced":
            return self
        return replace(self, pos_weight=tuple(balanced_pos_weight(masks).tolist()))
