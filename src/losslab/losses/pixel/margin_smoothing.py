from dataclasses import dataclass

from torch import Tensor

from losslab.losses.loss import Activated, mean
from losslab.losses.shared.softmax import with_background
from losslab.settings.schema import NonNegative


@dataclass(frozen=True, kw_only=True)
class MarginSmoothing(Activated):
    """Cross-entropy, and a price for logits that are further apart than a margin (margin-based label smoothing).

    L = mean of −ln p_t + w·mean over classes of max(0, max_j z_j − z_k − m), z the logits, p_t the
    probability of what is true, m = `margin`, w = `weight`. Softmax: over pixels, the background's z is 0.
    Sigmoid: over planes and pixels, of two classes with z of 0 and the logit, so w·max(0, |logit| − m)/2.

    Shapes: logits and target `[N, C, H, W]` → scalar > 0, unbounded.

    Convention: activation inside; mean over everything; an empty mask is a target like any other. The best
    value is above 0 and is reached where right logits are about a margin above the others. `weight=0` equals
    `bce`, or `cross_entropy`. Label smoothing draws all distances of logits to one; here they are free up to
    the margin, so less is lost of what tells classes apart.

    Helps: calibration: probabilities that are as high as they are right, where pixels are soon predicted with
    certainty. The order of the losses by IoU it seldom changes.

    Reference: Liu, Ben Ayed, Galdran and Dolz, "The devil is in the margin: margin-based label smoothing for
    network calibration", CVPR 2022.
    """

    margin: NonNegative = 10.0
    weight: NonNegative = 0.1

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        surprisal, pixels = self.surprisal(logits, target, known)
        if self.output == "softmax":
            scores = logits if self.exclusive else with_background(logits)
            gaps = scores.amax(1, keepdim=True) - scores
            excess = (gaps - self.margin).relu().mean(1)
        else:
            excess = (logits.abs() - self.margin).relu() / 2
        return mean(surprisal + self.weight * excess, pixels)
