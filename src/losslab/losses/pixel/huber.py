from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from losslab.losses.loss import Loss


@dataclass(frozen=True, kw_only=True)
class Huber(Loss):
    """Squared for small errors, absolute for large ones.

    L = mean of ½·e² where e ≤ δ, else δ·(e − ½·δ), with e = |p − t|, p = sigmoid(logit), δ = `delta`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, ½].

    Convention: sigmoid inside; mean over everything; an empty mask is a target like any other. Errors lie in
    [0, 1], so `delta=1` is ½·MSE, and delta → 0 tends to δ·MAE.

    Helps: where a share of the labels is wrong and MSE follows them too far. Background dominates as in
    `mse`.

    Reference: Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 1964.
    """

    delta: Annotated[float, Field(gt=0, le=1)] = 0.5

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return huber_loss(self.probabilities(logits), target, delta=self.delta)
