from dataclasses import dataclass
from math import log

from torch import Tensor

from losslab.losses.loss import Activated, mean
from losslab.losses.shared.hardest import hardest
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
        entropy, known = self.surprisal(logits, target, known)
        pixels = None if known is None else known.reshape(1, -1)
        largest, counts = hardest(entropy.detach().reshape(1, -1), self.least, pixels)
        limit = largest.gather(1, counts - 1).squeeze().clamp_max(-log(self.threshold))
        hard = (entropy.detach() >= limit).to(entropy.dtype)
        return mean(entropy, hard if known is None else hard * known)
