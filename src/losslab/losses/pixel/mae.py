from dataclasses import dataclass

from torch import Tensor

from losslab.losses.loss import Activated, mean


@dataclass(frozen=True, kw_only=True)
class MAE(Activated):
    """Mean absolute error between probability and target.

    L = mean over images, planes and pixels of |p − t|, with p = activation(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; mean over everything; an empty mask is a target like any other. The
    gradient in p has the same size everywhere, so where foreground is rare the many background pixels win:
    expect empty predictions.

    Helps: labels with many wrong pixels, in balanced masks.

    Reference: Ghosh, Kumar and Sastry, "Robust loss functions under label noise for deep neural networks",
    AAAI 2017.
    """

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        return mean((p - truth).abs(), known)
