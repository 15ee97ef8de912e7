from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY
from losslab.losses.shared.skeleton import soft_skeleton
from losslab.settings.schema import Count, NonNegative


@dataclass(frozen=True, kw_only=True)
class ClDice(Activated):
    """One minus the soft centreline Dice: skeletons that lie within the other's mask.

    L = mean over classes of 1 − 2·P·S/(P + S), with P = (Σ skel(p)·t + s)/(Σ skel(p) + s) the topology
    precision, S = (Σ skel(t)·p + s)/(Σ skel(t) + s) the topology sensitivity, p = activation(logit), s =
    `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; sums over all images of a class; skel by `iterations` erosions: what is
    wider than twice that has no skeleton, and counts for nothing; an empty mask costs 1 − s/(Σ skel(p) + s)
    in P, and S is about 1.

    Helps: vessels, roads, cracks, where a gap costs a connection and not its few pixels; beside a region loss
    in a `sum` (the paper: half Dice, half this), for alone it does not hold the width.

    Reference: Shit et al., "clDice: a novel topology-preserving loss function for tubular structure
    segmentation", CVPR 2021.
    """

    iterations: Count = 3
    smooth: NonNegative = 1.0

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        predicted_line = soft_skeleton(p, self.iterations, known)
        with torch.no_grad():
            true_line = soft_skeleton(truth, self.iterations, known)
        # The shares that lie outside, so that a perfect prediction costs 0 and not a rounding error.
        outside = self._share(predicted_line, 1 - truth)
        missed = self._share(true_line, 1 - p)
        precision, sensitivity = 1 - outside, 1 - missed
        return ((outside + missed - 2 * outside * missed) / (precision + sensitivity).clamp_min(TINY)).mean()

    def _share(self, line: Tensor, outside: Tensor) -> Tensor:
        return (line * outside).sum((0, 2, 3)) / (line.sum((0, 2, 3)) + self.smooth).clamp_min(TINY)
