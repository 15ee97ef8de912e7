from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.loss import Activated, mean
from losslab.losses.shared.class_weights import PlaneWeights, listed
from losslab.losses.shared.softmax import class_surprisal
from losslab.settings.schema import NonNegative, UnitInterval


@dataclass(frozen=True, kw_only=True)
class Focal(Activated):
    """Cross-entropy in which pixels that are already right count little.

    L = mean of −α_t·(1 − p_t)^γ·ln p_t, γ = `gamma`. Sigmoid: over planes and pixels, p_t = p where t = 1,
    else 1 − p. Softmax: over pixels, p_t the probability of the pixel's class.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; mean over everything (the paper divides by the number of objects); an empty
    mask is a target like any other. α_t = `alpha` for foreground and 1 − `alpha` for background; `alpha=null`
    weighs neither. With `gamma=0` and no `alpha` it equals `bce`, or `cross_entropy` with `activation:
    softmax`. `class_weights`: of each plane, with softmax of each class, the background's first; divided by
    their sum over the pixels. MONAI's softmax form averages over the 1 + C planes, of which all but one are
    0. Reaches 0 only in the limit of infinite logits.

    Helps: many easy background pixels beside few hard ones. The paper's `alpha` 0.25 is tuned for `gamma` 2;
    raise it where recall is too low.

    Reference: Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV 2017.
    """

    gamma: NonNegative = 2.0
    alpha: UnitInterval | None = 0.25
    class_weights: PlaneWeights = "none"

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "softmax":
            entropy, indices = class_surprisal(logits, target, self.exclusive)  # [N, H, W]
            foreground = torch.ones_like(entropy) if self.exclusive else (indices > 0).to(entropy.dtype)
            known = None if known is None else known[:, 0]
        else:
            entropy, foreground = binary_cross_entropy_with_logits(logits, target, reduction="none"), target  # −ln p_t
        wrong = -(-entropy).expm1()  # 1 − p_t
        if self.gamma < 1:
            wrong = wrong.clamp_min(1e-12)  # the slope at 0 is infinite
        values = wrong**self.gamma * entropy
        if self.alpha is not None:
            values = values * (foreground * (2 * self.alpha - 1) + (1 - self.alpha))
        if self.class_weights == "none":
            return mean(values, known)
        if self.output == "softmax":
            weights = listed(self.class_weights, logits, logits.shape[1] + (not self.exclusive))[indices]
        else:
            weights = listed(self.class_weights, logits, logits.shape[1]).view(-1, 1, 1).expand_as(values)
        return mean(values, weights if known is None else weights * known)
