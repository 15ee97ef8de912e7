from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from losslab.losses.loss import Loss, at_least_float32
from losslab.losses.shared.class_weights import ClassWeights, balanced_class_weights, listed


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross-entropy of a softmax over C classes and background.

    L = Σ w_k·(−ln p_k) / Σ w_k over the pixels, k the pixel's class, p = softmax([0, logits]).

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: a zero background logit is put before the C planes; a pixel of no plane is background; where
    planes overlap, the later class wins (so for overlapping planes the optimum is not the target); mean over
    pixels, an empty mask is all background. `class_weights`: none (w = 1), a list of 1 + C weights with the
    background's first, or balanced (every class weighs the same in sum over the training masks; over the
    batch until `fitted`). `label_smoothing` ε gives the pixel's class 1 − ε and spreads ε over all 1 + C, so
    that the best value is above 0; without it 0 is reached only in the limit of infinite logits. With one
    plane and no options it equals `bce`.

    Helps: classes that exclude each other. For planes that overlap `bce` is the right form.

    Reference: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990;
    label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
    """

    float_target = False

    class_weights: ClassWeights = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        indices, classes = class_indices(target), 1 + target.shape[1]
        weight = None
        if self.class_weights == "balanced":
            weight = balanced_class_weights(indices, classes).to(logits.dtype)
        elif self.class_weights != "none":
            weight = listed(self.class_weights, logits, classes)
        # PyTorch's own is the faster one, but has no deterministic form for planes on CUDA.
        function = gathered_cross_entropy if logits.is_cuda else cross_entropy
        return function(with_background(logits), indices, weight, label_smoothing=self.label_smoothing)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over background and classes, without the background's plane: `[N, C, H, W]` float32."""
        return with_background(logits).softmax(dim=1)[:, 1:]

    def fitted(self, masks: Tensor) -> Loss:
        """With balanced weights as those of all the training masks."""
        if self.class_weights != "balanced":
            return self
        # A part at a time: int64 indices take eight times the memory of masks.
        indices = torch.cat([class_indices(part).to(torch.int16) for part in torch.split(masks, 256)])
        weights = balanced_class_weights(indices, 1 + masks.shape[1])
        return replace(self, class_weights=tuple(weights.tolist()))


def gathered_cross_entropy(
    logits: Tensor, indices: Tensor, weight: Tensor | None = None, *, label_smoothing: float = 0.0
) -> Tensor:
    """PyTorch's `cross_entropy` of `[N, K, H, W]` and `[N, H, W]`, deterministic on any device."""
    log_p = logits.log_softmax(1)
    weight = logits.new_ones(logits.shape[1]) if weight is None else weight
    weights = weight[indices]  # [N, H, W]
    entropy = -(weights * log_p.gather(1, indices.unsqueeze(1)).squeeze(1)).sum()
    spread = -(weight.view(-1, 1, 1) * log_p).sum() / logits.shape[1] if label_smoothing else 0.0
    return ((1 - label_smoothing) * entropy + label_smoothing * spread) / weights.sum()


def with_background(logits: Tensor) -> Tensor:
    """`[N, C, H, W]` → float `[N, 1 + C, H, W]` with a zero logit for background in front."""
    return pad(at_least_float32(logits), (0, 0, 0, 0, 1, 0))


def class_indices(target: Tensor) -> Tensor:
    """Planes `[N, C, H, W]` → int64 `[N, H, W]`: 0 for background, else 1 + the pixel's last plane."""
    # Short ranks keep the product with planes of uint8 or bool short, which is faster than floats.
    ranks = torch.arange(1, target.shape[1] + 1, device=target.device, dtype=torch.int16).view(1, -1, 1, 1)
    return (target * ranks).amax(dim=1).long()
