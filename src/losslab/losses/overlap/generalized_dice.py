from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY, IncludeBackground
from losslab.losses.shared.soft_counts import Reduce, soft_counts
from losslab.settings.schema import NonNegative


@dataclass(frozen=True, kw_only=True)
class GeneralizedDice(Activated):
    """One minus a Dice coefficient whose sums run over the classes, weighed by their size.

    L = 1 − (2·Σ_c w_c·tp_c + s)/(Σ_c w_c·(2·tp_c + fp_c + fn_c) + s), with w_c = 1/(Σt_c)² and s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside, a softmax's background as in `dice`; `reduce="batch"` pools the images,
    `"sample"` takes one value per image and averages. `weights`: square as above, simple 1/Σt_c, uniform 1. A
    class with an empty mask gets the largest weight among the others (1 if all are empty), so with
    `reduce="sample"` absent classes weigh as much as the rarest one. Weights are about 1/Σt² in size and
    `smooth` adds to weighed sums: keep it far below 1/Σt. MONAI's is the same unless all are empty, where it
    gives 0.

    Helps: classes of very different size. With one class and `smooth: 0` it is `dice`.

    Reference: Sudre, Li, Vercauteren, Ourselin and Cardoso, "Generalised Dice overlap as a deep learning loss
    function for highly unbalanced segmentations", DLMIA 2017.
    """

    weights: Literal["square", "simple", "uniform"] = "square"
    smooth: NonNegative = 0.0
    reduce: Reduce = "batch"
    include_background: IncludeBackground = False

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known, self.include_background)
        tp, fp, fn = soft_counts(p, truth, self.reduce)
        weights = self._weights(tp + fn)
        right, wrong = (weights * tp).sum(-1), (weights * (fp + fn)).sum(-1)
        return (wrong / (2 * right + wrong + self.smooth).clamp_min(TINY)).mean()

    def _weights(self, size: Tensor) -> Tensor:
        """Class sizes `[..., C]` → weights of the same shape."""
        exponent = {"square": 2, "simple": 1, "uniform": 0}[self.weights]
        size = size.round()  # the sum of two soft counts: whole but for rounding
        known = torch.where(size > 0, size.clamp_min(1) ** -exponent, 0.0)
        largest = known.amax(-1, keepdim=True)
        return torch.where(size > 0, known, torch.where(largest > 0, largest, 1.0))
