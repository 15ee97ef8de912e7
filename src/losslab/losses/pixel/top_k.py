from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.loss import Activated
from losslab.losses.shared.soft_counts import Reduce
from losslab.losses.shared.softmax import class_surprisal


@dataclass(frozen=True, kw_only=True)
class TopK(Activated):
    """Cross-entropy over the hardest pixels only.

    L = mean of the k largest of −[t·ln p + (1 − t)·ln(1 − p)], p = sigmoid(logit), or with softmax of −ln p
    of each pixel's class; k = `fraction` of them.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; `reduce="batch"` ranks the pixels of all images and planes together,
    `"sample"` those of one image and averages over images; k is rounded down, at least 1; an empty mask is a
    target like any other. `fraction=1` equals `bce`, or `cross_entropy`. Reaches 0 only in the limit of
    infinite logits.

    Helps: thin or small structures in much easy background. Wrong labels are the hardest pixels of all: not
    for noisy masks.

    Reference: Wu, Shen and van den Hengel, "Bridging category-level and instance-level semantic image
    segmentation", 2016 (online bootstrapping).
    """

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "softmax":
            entropy, _ = class_surprisal(logits, target, self.exclusive)  # [N, H, W]
            known = None if known is None else known[:, 0]
        else:
            entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
        ranked = self._rows(entropy)
        if known is None:
            # A little above, or 0.7 of 90 would be 62: the product is 62.99…
            k = max(1, int(self.fraction * ranked.shape[-1] + 1e-6))
            return ranked.topk(k, sorted=False).values.mean()
        pixels = self._rows(known)
        counts = (self.fraction * pixels.sum(-1, keepdim=True, dtype=torch.float64) + 1e-6).floor().clamp_min(1)
        ranked = (ranked * pixels).sort(-1, descending=True).values  # void last, as 0
        hardest = torch.arange(ranked.shape[-1], device=ranked.device) < counts
        return ((ranked * hardest).sum(-1, keepdim=True) / counts.to(ranked.dtype)).mean()

    def _rows(self, planes: Tensor) -> Tensor:
        """A row for each ranking."""
        return planes.flatten(1) if self.reduce == "sample" else planes.flatten().unsqueeze(0)
