from dataclasses import dataclass

from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY, IncludeBackground
from losslab.losses.shared.soft_counts import Reduce
from losslab.settings.schema import NonNegative


@dataclass(frozen=True, kw_only=True)
class SquaredDice(Activated):
    """The V-Net Dice loss, with squares in the denominator.

    L = mean of 1 − (2·Σpt + s)/(Σp² + Σt² + s) = Σ(p − t)²/(Σp² + Σt² + s), with p = activation(logit), s =
    `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; `reduce="batch"` pools the images and averages over classes, `"sample"`
    averages over images and classes; an empty mask costs Σp²/(Σp² + s), and with s = 0 two empty planes cost
    0.

    Helps: as `dice`, with a softer push on unsure pixels: it is a squared error divided by the object's size.

    Reference: Milletari, Navab and Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical
    image segmentation", 3DV 2016.
    """

    smooth: NonNegative = 1.0
    reduce: Reduce = "batch"
    include_background: IncludeBackground = False

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        dims = (2, 3) if self.reduce == "sample" else (0, 2, 3)
        p, truth = self.prediction(logits, target, known, self.include_background)
        squares = p.square().sum(dims) + truth.sum(dims)  # t² = t
        wrong = squares - 2 * (p * truth).sum(dims)
        return (wrong.clamp_min(0) / (squares + self.smooth).clamp_min(TINY)).mean()
