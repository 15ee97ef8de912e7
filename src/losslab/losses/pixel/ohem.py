from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.loss import Activated, mean
from losslab.losses.shared.softmax import class_surprisal
from losslab.settings.schema import Fraction


@dataclass(frozen=True, kw_only=True)
class OHEM(Activated):
    """Cross-entropy over the pixels whose truth is not yet likely (online hard example mining).

    L = mean of −ln p_t over the pixels with p_t ≤ max(`threshold`, the p_t of the pixel that makes them
    `least` of all). Sigmoid: over planes and pixels, p_t = p where t = 1, else 1 − p. Softmax: p_t of the
    pixel's class.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; the pixels of all images (and, with sigmoid, planes) are ranked together;
    the least share is rounded down, one pixel at least; an empty mask is a target like any other. The mean is
    over fewer pixels as training goes on, so it need not fall. Reaches 0 only in the limit of infinite
    logits.

    Helps: street scenes and the like, where most pixels are soon right. As with `top_k`, wrong labels are the
    hardest pixels of all.

    Reference: Shrivastava, Gupta and Girshick, "Training region-based object detectors with online hard
    example mining", CVPR 2016; per pixel as in the code of Wang et al., HRNet, 2020."""

    threshold: Fraction = 0.7
    least: Fraction = 0.05

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "softmax":
            entropy, _ = class_surprisal(logits, target, self.exclusive)  # [N, H, W]
            known = None if known is None else known[:, 0]
        else:
            entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
        ranked = (entropy if known is None else entropy * known).detach().flatten().sort(descending=True).values
        pixels = torch.full_like(ranked[:1], len(ranked)) if known is None else known.sum().view(1)
        rank = (self.least * pixels.double() + 1e-6).floor().clamp_min(1).long() - 1
        limit = ranked.gather(0, rank).clamp_max(-log(self.threshold))
        hard = (entropy.detach() >= limit).to(entropy.dtype)
        return mean(entropy, hard if known is None else hard * known)
