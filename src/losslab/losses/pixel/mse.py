from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import mse_loss

from losslab.losses.loss import Activated, mean


@dataclass(frozen=True, kw_only=True)
class MSE(Activated):
    """Mean squared error between probability and target.

    L = mean over images, planes and pixels of (p − t)², with p = activation(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; mean over everything, so every pixel weighs the same whatever its image or
    class; an empty mask is a target like any other.

    Helps: balanced foreground, or probabilities that are to be calibrated. Where foreground is rare,
    background dominates: expect empty predictions at threshold 0.5.

    Reference: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        if known is None:
            return mse_loss(p, truth)
        return mean(mse_loss(p, truth, reduction="none"), known)
