from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from losslab.losses.loss import Loss
from losslab.losses.shared.overlap import TINY
from losslab.losses.shared.power import power
from losslab.losses.shared.soft_counts import Reduce, soft_counts
from losslab.settings.schema import NonNegative, UnitInterval


@dataclass(frozen=True, kw_only=True)
class UnifiedFocal(Loss):
    """Asymmetric focal cross-entropy and asymmetric focal Tversky under three options.

    L = λ·½·mean of [δ·t·(−ln p) + (1 − δ)·p^γ·(1 − t)·(−ln(1 − p))]
    + (1 − λ)·½·mean of [(1 − TI_fg)^(1 − γ) + (1 − TI_bg)], with p = sigmoid(logit),
    TI_fg = (tp + s)/(tp + δ·fn + (1 − δ)·fp + s), TI_bg = (tn + s)/(tn + δ·fp + (1 − δ)·fn + s);
    λ = `weight`, δ = `delta`, γ = `gamma`, s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: sigmoid inside: each plane is foreground against background, foreground the rare class;
    `reduce="batch"` pools the images of a class for TI, `"sample"` does not; an empty mask costs TI_fg =
    s/((1 − δ)·Σp + s). Means over foreground and background as in MONAI, half the paper's sums. The infinite
    slope at TI_fg = 1 is cut off. Reaches 0 only in the limit of infinite logits.

    Helps: rare foreground, with fewer options to tune than a `sum` of focal and Tversky.

    Reference: Yeung, Sala, Schönlieb and Rundo, "Unified focal loss: generalising Dice and cross
    entropy-based losses to handle class imbalanced medical image segmentation", Computerized Medical Imaging
    and Graphics 2022.
    """

    weight: UnitInterval = 0.5
    delta: UnitInterval = 0.6
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.5
    smooth: NonNegative = 1.0
    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        p = self.probabilities(logits)
        missed = target * softplus(-logits)
        alarms = (1 - target) * softplus(logits) * power(p, self.gamma)
        entropy = (self.delta * missed + (1 - self.delta) * alarms).mean() / 2

        tp, fp, fn = soft_counts(p, target, self.reduce)
        tn = p.numel() / tp.numel() - tp - fp - fn
        foreground = power(self._tversky_loss(tp, fp, fn), 1 - self.gamma)
        overlap = (foreground + self._tversky_loss(tn, fn, fp)).mean() / 2
        return self.weight * entropy + (1 - self.weight) * overlap

    def _tversky_loss(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        wrong = self.delta * fn + (1 - self.delta) * fp
        return wrong / (tp + wrong + self.smooth).clamp_min(TINY)
