from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.hardest import hardest
from losslab.losses.shared.soft_counts import Reduce


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
        entropy, known = self.surprisal(logits, target, known)
        pixels = None if known is None else self._rows(known)
        largest, counts = hardest(self._rows(entropy), self.fraction, pixels)
        return (largest.sum(-1, keepdim=True) / counts.to(largest.dtype)).mean()

    def _rows(self, planes: Tensor) -> Tensor:
        """A row for each ranking."""
        return planes.flatten(1) if self.reduce == "sample" else planes.flatten().unsqueeze(0)
