"""Softmax cross-entropy over the classes and a background."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from losslab.losses import Loss


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross-entropy of a softmax over C classes and background.

    L = mean over pixels of −ln p_k, k the pixel's class, p = softmax([0, logits]).

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: a zero background logit is put before the C planes; a pixel of no plane is background; where planes
    overlap, the later class wins (so for overlapping planes the optimum is not the target); mean over pixels, all
    classes weighing the same. Reaches 0 only in the limit of infinite logits. With one plane it equals `bce`.

    Reference: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(with_background(logits), class_indices(target))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over background and classes, without the background's plane: `[N, C, H, W]` float32."""
        return with_background(logits).softmax(dim=1)[:, 1:]


def with_background(logits: Tensor) -> Tensor:
    """`[N, C, H, W]` → float `[N, 1 + C, H, W]` with a zero logit for background in front."""
    return pad(logits.float(), (0, 0, 0, 0, 1, 0))


def class_indices(target: Tensor) -> Tensor:
    """Planes `[N, C, H, W]` → int64 `[N, H, W]`: 0 for background, else 1 + the last plane that holds the pixel."""
    ranks = torch.arange(1, target.shape[1] + 1, device=target.device).view(1, -1, 1, 1)
    return (target.to(ranks.dtype) * ranks).amax(dim=1)
