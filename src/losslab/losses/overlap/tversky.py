from dataclasses import dataclass

from torch import Tensor

from losslab.losses.shared.overlap import TINY, Overlap
from losslab.settings.schema import Positive


@dataclass(frozen=True, kw_only=True)
class Tversky(Overlap):
    """One minus the soft Tversky index.

    L = mean of 1 − (tp + s)/(tp + α·fp + β·fn + s), with soft counts of p = activation(logit); α = `alpha`, β
    = `beta`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; `reduce`, `smooth` and `empty` as in `dice`: an empty mask costs α·Σp/(α·Σp
    + s). α = β = ½ is Dice with half its `smooth`, α = β = 1 is IoU.

    Helps: recall or precision worth more than the other: β > α finds more of a rare object at the price of
    false alarms.

    Reference: Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", MLMI 2017.
    """

    alpha: Positive = 0.3
    beta: Positive = 0.7

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        wrong = self.alpha * fp + self.beta * fn
        return wrong / (tp + wrong + self.smooth).clamp_min(TINY)
