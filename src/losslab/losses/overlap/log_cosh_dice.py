from dataclasses import dataclass

from torch import Tensor

from losslab.losses.overlap.dice import Dice


@dataclass(frozen=True, kw_only=True)
class LogCoshDice(Dice):
    """Logarithm of the hyperbolic cosine of the Dice loss.

    L = mean of ln cosh D, with D the Dice loss of each overlap.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 0.434].

    Convention: as `dice`, empty masks too; ln cosh is taken for each overlap before the mean. Near 0 it is
    D²/2, so the gradient vanishes at a perfect overlap.

    Helps: Dice that jumps about late in training; early on it is slower than `dice`.

    Reference: Jadon, "A survey of loss functions for semantic segmentation", CIBCB 2020.
    """

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return super().of_counts(tp, fp, fn).cosh().log()
