from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.soft_counts import Reduce, pixel_counts, soft_counts


@dataclass(frozen=True, kw_only=True)
class MCC(Activated):
    """One minus the soft Matthews correlation coefficient.

    L = mean of 1 − (tp·tn − fp·fn)/√((tp + fp)·(tp + fn)·(tn + fp)·(tn + fn)), soft counts of p =
    sigmoid(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 2]: 1 is no correlation, 2 the opposite of the
    truth.

    Convention: activation inside; `reduce="batch"` pools the images and averages over classes, `"sample"`
    averages over images and classes. A mask that is empty or full has no correlation with anything: it costs
    0 and has no gradient, whatever is predicted. A constant prediction beside another mask costs 1.
    segmentation_models_pytorch pools the classes too, and an empty mask costs about 1 there.

    Helps: foreground and background that matter alike: true negatives count, unlike in `dice`.

    Reference: Abhishek and Hamarneh, "Matthews correlation coefficient loss for deep convolutional networks:
    application to skin lesion segmentation", ISBI 2021.
    """

    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, true = self.prediction(logits, target, known)
        tp, fp, fn = soft_counts(p, true, self.reduce)
        pixels = pixel_counts(p, known, self.reduce)
        # As shares of the pixels: products of four counts would leave the range of float32.
        truth, guess, both = (tp + fn) / pixels, (tp + fp) / pixels, tp / pixels
        spread = truth * (1 - truth) * guess * (1 - guess)
        correlation = (both - truth * guess) / spread.clamp_min(1e-14).sqrt()
        varied = (truth > 0.5 / pixels) & (truth < 1 - 0.5 / pixels)
        return torch.where(varied, 1 - correlation, 0.0).mean()
