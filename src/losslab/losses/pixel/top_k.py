from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.loss import Loss
from losslab.losses.shared.soft_counts import Reduce


@dataclass(frozen=True, kw_only=True)
class TopK(Loss):
    """Binary cross-entropy over the hardest pixels only.

    L = mean of the k largest of −[t·ln p + (1 − t)·ln(1 − p)], p = sigmoid(logit), k = `fraction` of the
    pixels.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: sigmoid inside; `reduce="batch"` ranks the pixels of all images and planes together,
    `"sample"` those of one image and averages over images; k is rounded down, at least 1; an empty mask is a
    target like any other. `fraction=1` equals `bce`. Reaches 0 only in the limit of infinite logits.

    Helps: thin or small structures in much easy background. Wrong labels are the hardest pixels of all: not
    for noisy masks.

    Reference: Wu, Shen and van den Hengel, "Bridging category-level and instance-level semantic image
    segmentation", 2016 (online bootstrapping).
    """

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
        ranked = entropy.flatten(1) if self.reduce == "sample" else entropy.flatten()
        # A little above, or 0.7 of 90 would be 62: the product is 62.99…
        k = max(1, int(self.fraction * ranked.shape[-1] + 1e-6))
        return ranked.topk(k, sorted=False).values.mean()
