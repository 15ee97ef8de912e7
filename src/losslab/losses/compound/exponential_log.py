from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from losslab.losses.loss import Loss, mean
from losslab.losses.shared.class_weights import PosWeight, balanced_pos_weight, pos_weight
from losslab.losses.shared.overlap import TINY, Overlap
from losslab.losses.shared.power import power
from losslab.losses.shared.softmax import surprisals
from losslab.settings.schema import Positive, UnitInterval


@dataclass(frozen=True, kw_only=True)
class ExponentialLog(Overlap):
    """Powers of the logarithms of Dice and of the probabilities.

    L = w·mean of (−ln Dice)^γ + (1 − w)·mean of v·(−ln p_t)^γ, with p_t = p where t = 1, else 1 − p; p =
    sigmoid(logit); w = `weight`, γ = `gamma`, v from `pos_weight`.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside (the paper's is a softmax over labels); the Dice of each overlap with
    `reduce`, `smooth` and `empty` as in `dice`; the second mean is over everything. v is 1 for background and
    for foreground none: 1, a number, one number a class, or balanced: √(background pixels per foreground
    pixel), the paper's root of inverse frequency, over the training masks (over the batch until `fitted`).
    The infinite slope at 0 of γ < 1 is cut off at 1e-12. Reaches 0 only in the limit of infinite logits.

    Helps: objects of very different size, small ones above all; γ < 1 also pushes what is nearly right.

    Reference: Wong, Moradi, Tang and Syeda-Mahmood, "3D segmentation with exponential logarithmic loss for
    highly unbalanced object sizes", MICCAI 2018.
    """

    weight: UnitInterval = 0.8
    gamma: Positive = 0.3
    pos_weight: PosWeight = "balanced"

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        # −ln Dice = ln(1 + wrong/right)
        return power(((fp + fn) / (2 * tp + self.smooth).clamp_min(TINY)).log1p(), self.gamma)

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "softmax":
            truth = self.truth(target)
            surprisal = torch.where(truth > 0, *surprisals(logits, self.exclusive))
        else:
            # PyTorch's binary cross-entropy rounds it to 0 where it is small, and the power then has no slope.
            truth, surprisal = target, softplus(logits * (1 - 2 * target))
        entropy = power(surprisal, self.gamma)  # of −ln p_t
        weight = pos_weight(self.pos_weight, target, known)
        if weight is not None:
            weight = weight.sqrt() if self.pos_weight == "balanced" else weight
            entropy = entropy * (truth * (weight - 1) + 1)
        overlap = super().value(logits, target, known)
        return self.weight * overlap + (1 - self.weight) * mean(entropy, known)

    def fitted(self, masks: Tensor) -> Loss:
        """With balanced weights as those of all the training masks."""
        if self.pos_weight != "balanced":
            return self
        return replace(self, pos_weight=tuple(balanced_pos_weight(masks).sqrt().tolist()))
