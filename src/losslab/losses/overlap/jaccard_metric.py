from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY
from losslab.settings.schema import UnitInterval


@dataclass(frozen=True, kw_only=True)
class JaccardMetric(Activated):
    """One minus IoU or Dice in a form that is least at the target also where labels are soft.

    L = mean over classes of 2·D/(Σp + Σt + D) for `form="jaccard"`, D/(Σp + Σt) for `"dice"`, with D = Σ|p −
    t|, p = activation(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; sums over all images of a class; two empty planes cost 0, and an empty mask
    with any prediction 1. `boundary_smoothing` ε makes t (1 − ε)·t + ε·(mean of t over the 3×3 pixels
    around), which is soft at edges alone; the best prediction is then that soft truth. Without it the values
    on hard masks are those of `iou` and `dice` with `smooth: 0`.

    Helps: labels that are uncertain at edges, soft labels, and probabilities that are to mean something:
    `dice` of soft labels is least at hard predictions.

    Reference: Wang, Ning and Blaschko, "Jaccard metric losses: optimizing the Jaccard index with soft
    labels", NeurIPS 2023."""

    form: Literal["jaccard", "dice"] = "jaccard"
    boundary_smoothing: UnitInterval = 0.0

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        if self.boundary_smoothing:
            truth = truth.lerp(around(truth, known), self.boundary_smoothing)
        dims = (0, 2, 3)
        wrong, total = (p - truth).abs().sum(dims), p.sum(dims) + truth.sum(dims)
        if self.form == "dice":
            return (wrong / total.clamp_min(TINY)).mean()
        return (2 * wrong / (total + wrong).clamp_min(TINY)).mean()


@torch.no_grad()
def around(truth: Tensor, known: Tensor | None) -> Tensor:
    """The mean of the known pixels among the 3×3 around each that is known; 0 elsewhere."""
    counts = avg_pool2d(torch.ones_like(truth) if known is None else known, 3, 1, 1)
    means = avg_pool2d(truth, 3, 1, 1) / counts.clamp_min(TINY)
    return means if known is None else means * known
