from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from losslab.losses.loss import Activated
from losslab.losses.shared.overlap import TINY
from losslab.settings.schema import NonNegative

LARGEST = 0.8
"""The paper's limit of α, for the largest objects."""


@dataclass(frozen=True, kw_only=True)
class BoundaryDoU(Activated):
    """Difference over union, of which the part away from the edge is left out, the more so for larger objects.

    L = mean over classes of D/(D + (1 − α)·I + s), with D = Σp² + Σt² − 2·Σpt, I = Σpt, p =
    activation(logit), s = `smooth`; α = 1 − 2·E/A up to 0.8, for E edge pixels of the truth's A.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; sums over all images of a class; a pixel of the truth is at its edge if one
    of its four neighbours is not of it, or lies outside the image; an empty mask costs Σp²/(Σp² + s), and 0
    for an empty prediction (the authors' code: 1).

    Helps: outlines of larger objects, without distances and with nothing to tune; for small ones it is nearly
    `squared_dice`'s Jaccard form.

    Reference: Sun, Luo and Li, "Boundary difference over union loss for medical image segmentation", MICCAI
    2023."""

    smooth: NonNegative = 1e-5

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        p, truth = self.prediction(logits, target, known)
        dims = (0, 2, 3)
        both = (p * truth).sum(dims)
        wrong = (p - truth).square().sum(dims)
        edge, area = at_edge(truth).sum(dims), truth.sum(dims)
        alpha = (1 - 2 * (edge + self.smooth) / (area + self.smooth).clamp_min(TINY)).clamp_max(LARGEST)
        return (wrong / (wrong + (1 - alpha) * both + self.smooth).clamp_min(TINY)).mean()


@torch.no_grad()
def at_edge(truth: Tensor) -> Tensor:
    """Planes `[N, C, H, W]` of 0 and 1 → 1 where one of a pixel's four neighbours is not 1."""
    padded = pad(truth, (1, 1, 1, 1))
    inner = padded[:, :, :-2, 1:-1] * padded[:, :, 2:, 1:-1] * padded[:, :, 1:-1, :-2] * padded[:, :, 1:-1, 2:]
    return truth * (1 - inner)
