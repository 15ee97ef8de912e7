from dataclasses import dataclass

from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.soft_counts import Reduce
from losslab.settings.schema import UnitInterval


@dataclass(frozen=True, kw_only=True)
class SensitivitySpecificity(Activated):
    """Mean squared error on the object and on the background, each by itself.

    L = mean of w·Σ(p − t)²·t/Σt + (1 − w)·Σ(p − t)²·(1 − t)/Σ(1 − t), with p = activation(logit), w =
    `weight`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; `reduce="batch"` pools the images and averages over classes, `"sample"`
    averages over images and classes; the first part is 0 where the mask is empty, the second where it is
    full.

    Helps: rare foreground, with one number to say what a miss costs beside a false alarm. With w = ½ a false
    alarm costs little, and much is predicted; the paper takes 0.05.

    Reference: Brosch, Yoo, Tang, Li, Traboulsee and Tam, "Deep convolutional encoder networks for multiple
    sclerosis lesion segmentation", MICCAI 2015.
    """

    weight: UnitInterval = 0.05
    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        dims = (2, 3) if self.reduce == "sample" else (0, 2, 3)
        p, truth = self.prediction(logits, target, known)
        background = 1 - truth if known is None else known - truth
        errors = (p - truth).square()
        missed, false = ((errors * part).sum(dims) / part.sum(dims).clamp_min(1) for part in (truth, background))
        return (self.weight * missed + (1 - self.weight) * false).mean()
