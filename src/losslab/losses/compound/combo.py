from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from losslab.losses.loss import mean
from losslab.losses.overlap.dice import Dice
from losslab.losses.shared.softmax import surprisals
from losslab.settings.schema import UnitInterval


@dataclass(frozen=True, kw_only=True)
class Combo(Dice):
    """Weighted cross-entropy and Dice.

    L = α·mean of −[β·t·ln p + (1 − β)·(1 − t)·ln(1 − p)] + (1 − α)·Dice loss, α = `alpha`, β = `beta`.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; the cross-entropy is a mean over everything; the Dice loss and its options
    are those of `dice`. The paper subtracts the Dice coefficient where this adds 1 − Dice, so that 0 is
    perfect; gradients are the same. Reaches 0 only in the limit of infinite logits.

    Helps: a steady gradient from cross-entropy with the balance of Dice; β > ½ punishes missed foreground
    more.

    Reference: Taghanaki et al., "Combo loss: handling input and output imbalance in multi-organ
    segmentation", Computerized Medical Imaging and Graphics 2019.
    """

    alpha: UnitInterval = 0.5
    beta: UnitInterval = 0.5

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "softmax":
            hit, rest = surprisals(logits, self.exclusive)
            truth = self.truth(target)
            entropy = self.beta * truth * hit + (1 - self.beta) * (1 - truth) * rest
        else:
            # −ln(1 − p) = softplus(z) and −ln p = softplus(z) − z
            entropy = softplus(logits) * ((2 * self.beta - 1) * target + (1 - self.beta)) - self.beta * target * logits
        return self.alpha * mean(entropy, known) + (1 - self.alpha) * super().value(logits, target, known)
