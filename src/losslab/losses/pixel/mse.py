from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import mse_loss

from losslab.losses.loss import Loss


@dataclass(frozen=True, kw_only=True)
class MSE(Loss):
    """Mean squared error between probability and target.

    L = mean over images, planes and pixels of (p − t)², with p = sigmoid(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: sigmoid inside; mean over everything, so every pixel weighs the same whatever its image or
    class; an empty mask is a target like any other.

    Helps: balanced foreground, or probabilities that are to be calibrated. Where foreground is rare,
    background dominates: expect empty predictions at threshold 0.5.

    Reference: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return mse_loss(self.probabilities(logits), target)
