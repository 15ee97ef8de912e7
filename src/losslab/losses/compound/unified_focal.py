from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from losslab.losses.loss import Activated, mean
from losslab.losses.shared.overlap import TINY
from losslab.losses.shared.power import power
from losslab.losses.shared.soft_counts import Reduce, pixel_counts, soft_counts
from losslab.losses.shared.softmax import surprisals
from losslab.settings.schema import NonNegative, UnitInterval


@dataclass(frozen=True, kw_only=True)
class UnifiedFocal(Activated):
    """Asymmetric focal cross-entropy and asymmetric focal Tversky under three options.

    L = λ·½·mean of [δ·t·(−ln p) + (1 − δ)·p^γ·(1 − t)·(−ln(1 − p))]
    + (1 − λ)·½·mean of [(1 − TI_fg)^(1 − γ) + (1 − TI_bg)], with p = activation(logit),
    TI_fg = (tp + s)/(tp + δ·fn + (1 − δ)·fp + s), TI_bg = (tn + s)/(tn + δ·fp + (1 − δ)·fn + s);
    λ = `weight`, δ = `delta`, γ = `gamma`, s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside: each plane is foreground against background, foreground the rare class;
    `reduce="batch"` pools the images of a class for TI, `"sample"` does not; an empty mask costs TI_fg =
    s/((1 − δ)·Σp + s). Means over foreground and background in both parts, as in MONAI; the paper sums both,
    and its authors' code sums the first and averages the second, so that their λ is 2λ/(1 + λ) here. The
    infinite slope at TI_fg = 1 is cut off. Reaches 0 only in the limit of infinite logits.

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

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        if self.output == "softmax":
            hit, rest = surprisals(logits, self.exclusive)
        else:
            hit, rest = softplus(-logits), softplus(logits)
        missed, alarms = truth * hit, (1 - truth) * rest * power(p, self.gamma)
        entropy = mean(self.delta * missed + (1 - self.delta) * alarms, known) / 2

        tp, fp, fn = soft_counts(p, truth, self.reduce)
        tn = pixel_counts(p, known, self.reduce) - tp - fp - fn
        foreground = power(self._tversky_loss(tp, fp, fn), 1 - self.gamma)
        overlap = (foreground + self._tversky_loss(tn, fn, fp)).mean() / 2
        return self.weight * entropy + (1 - self.weight) * overlap

    def _tversky_loss(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        wrong = self.delta * fn + (1 - self.delta) * fp
        return wrong / (tp + wrong + self.smooth).clamp_min(TINY)
