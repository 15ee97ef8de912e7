from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from losslab.losses.loss import Activated, mean


@dataclass(frozen=True, kw_only=True)
class Huber(Activated):
    """Squared for small errors, absolute for large ones.

    L = mean of ½·e² where e ≤ δ, else δ·(e − ½·δ), with e = |p − t|, p = activation(logit), δ = `delta`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, ½].

    Convention: activation inside; mean over everything; an empty mask is a target like any other. Errors lie
    in [0, 1], so `delta=1` is ½·MSE, and delta → 0 tends to δ·MAE.

    Helps: where a share of the labels is wrong and MSE follows them too far. Background dominates as in
    `mse`.

    Reference: Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 1964.
    """

    delta: Annotated[float, Field(gt=0, le=1)] = 0.5

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        if known is None:
            return huber_loss(p, truth, delta=self.delta)
        return mean(huber_loss(p, truth, delta=self.delta, reduction="none"), known)
