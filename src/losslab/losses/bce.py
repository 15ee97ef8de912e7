"""Binary cross-entropy, each plane a problem of its own."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses import Loss


@dataclass(frozen=True, kw_only=True)
class BCE(Loss):
    """Binary cross-entropy per plane and pixel.

    L = mean of −[t·ln p + (1 − t)·ln(1 − p)], with p = sigmoid(logit), computed from the logits.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: sigmoid inside; mean over everything; an empty mask is a target like any other; classes are
    independent, so planes may overlap. Reaches 0 only in the limit of infinite logits.

    Reference: Good, "Rational decisions", 1952.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        logits = logits.float()
        return binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
