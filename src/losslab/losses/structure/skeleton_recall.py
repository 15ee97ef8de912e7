from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY
from losslab.losses.shared.skeleton import dilate, soft_skeleton
from losslab.settings.schema import Count


@dataclass(frozen=True, kw_only=True)
class SkeletonRecall(Activated):
    """The share of the truth's skeleton, made a tube, that is not predicted.

    L = mean over classes of Σ k·(1 − p)/Σ k, with k the skeleton of the truth widened by one pixel, within
    the truth; p = activation(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; sums over all images of a class; the skeleton by `iterations` erosions:
    what is wider than twice that has none (the paper thins, and widens by two pixels); an empty mask costs 0
    and has no gradient, whatever is predicted, and so do false alarms.

    Helps: thin structures at a small price: nothing of the prediction is thinned, unlike in `cl_dice`. In a
    `sum` with a region loss, since alone everything is best predicted everywhere.

    Reference: Kirchhoff et al., "Skeleton recall loss for connectivity conserving and resource efficient
    segmentation of thin tubular structures", ECCV 2024.
    """

    iterations: Count = 10

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        with torch.no_grad():
            tube = dilate(soft_skeleton(truth, self.iterations, known), known) * truth
        missed = (tube * (1 - p)).sum((0, 2, 3))
        return (missed / tube.sum((0, 2, 3)).clamp_min(TINY)).mean()
