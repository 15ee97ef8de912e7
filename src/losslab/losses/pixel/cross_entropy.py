from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from losslab.losses.loss import Loss, Output
from losslab.losses.shared.class_weights import ClassWeights, balanced_class_weights, listed
from losslab.losses.shared.softmax import class_indices, with_background


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """Cross-entropy of a softmax over C classes and background.

    L = Σ w_k·(−ln p_k) / Σ w_k over the pixels, k the pixel's class, p = softmax([0, logits]). With
    `label_smoothing` ε: Σ [(1 − ε)·w_k·(−ln p_k) + ε/(1 + C)·Σ_j w_j·(−ln p_j)] / Σ w_k.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: a zero background logit is put before the C planes; a pixel of no plane is background; where
    planes overlap, the later class wins (so for overlapping planes the optimum is not the target); mean over
    pixels, an empty mask is all background. Of data whose classes exclude each other the softmax is over the
    C planes alone. `class_weights`: none (w = 1), a list of 1 + C weights with the background's first (C
    where classes exclude each other), or balanced (every class weighs the same in sum over the training
    masks; over the batch until `fitted`). `label_smoothing` spreads ε over all 1 + C classes, each with its
    own weight, as PyTorch does, so that the best value is above 0; without it 0 is reached only in the limit
    of infinite logits. With one plane and no options it equals `bce`.

    Helps: classes that exclude each other. For planes that overlap `bce` is the right form.

    Reference: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990;
    label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
    """

    float_target = False

    class_weights: ClassWeights = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if not self.exclusive:
            logits = with_background(logits)
        indices, classes = self._indices(target), logits.shape[1]
        weight = None
        if self.class_weights == "balanced":
            seen = indices if known is None else torch.where(known[:, 0] > 0, indices, -1)
            weight = balanced_class_weights(seen, classes).to(logits.dtype)
        elif self.class_weights != "none":
            weight = listed(self.class_weights, logits, classes)
        # PyTorch's own is the faster one, but has no deterministic form for planes on CUDA.
        if known is None and not logits.is_cuda:
            return cross_entropy(logits, indices, weight, label_smoothing=self.label_smoothing)
        pixels = None if known is None else known[:, 0]
        return gathered_cross_entropy(logits, indices, weight, pixels, label_smoothing=self.label_smoothing)

    @property
    def output(self) -> Output:
        """The softmax."""
        return "softmax"

    def fitted(self, masks: Tensor) -> Loss:
        """With balanced weights as those of all the training masks."""
        if self.class_weights != "balanced":
            return self
        # A part at a time: int64 indices take eight times the memory of masks.
        indices = torch.cat([self._known_indices(part).to(torch.int16) for part in torch.split(masks, 256)])
        weights = balanced_class_weights(indices, masks.shape[1] + (not self.exclusive))
        return replace(self, class_weights=tuple(weights.tolist()))

    def _indices(self, target: Tensor) -> Tensor:
        return class_indices(target, first=0 if self.exclusive else 1)

    def _known_indices(self, masks: Tensor) -> Tensor:
        void = self.void(masks)
        return torch.where(void[:, 0], -1, self._indices(masks.masked_fill(void, 0)))


def gathered_cross_entropy(
    logits: Tensor,
    indices: Tensor,
    weight: Tensor | None = None,
    known: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
) -> Tensor:
    """PyTorch's `cross_entropy` of `[N, K, H, W]` and `[N, H, W]`, deterministic on any device.

    Where `known` `[N, H, W]` is 0 a pixel does not count; without any the value is 0.
    """
    log_p = logits.log_softmax(1)
    weight = logits.new_ones(logits.shape[1]) if weight is None else weight
    weights = weight[indices]  # [N, H, W]
    if known is not None:
        weights, log_p = weights * known, log_p * known.unsqueeze(1)
    entropy = -(weights * log_p.gather(1, indices.unsqueeze(1)).squeeze(1)).sum()
    spread = -(weight.view(-1, 1, 1) * log_p).sum() / logits.shape[1] if label_smoothing else 0.0
    total = weights.sum() if known is None else weights.sum().clamp_min(1e-12)
    return ((1 - label_smoothing) * entropy + label_smoothing * spread) / total
