"""Deep supervision: a loss of a network that has heads at coarser scales while it is trained."""

from collections.abc import Callable

from torch import Tensor, nn

from losslab.losses import Loss

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def of_heads(loss: Loss, network: nn.Module) -> Objective:
    """The loss itself, or for a network with `supervised_heads` K > 1 a mean over them, weights 1, ½, ¼, ….

    Such a network gives logits `[N, K·C, H, W]` in training, the finest head's first, all of them at the size of the
    image, where nnU-Net makes the target small: the truth is seen as it is by every head. So each known pixel counts, a
    thin structure is not lost between samples, void stays void, and distances and other maps of the target hold.

    Reference: Isensee et al., "nnU-Net", Nature Methods 2021; Lee et al., "Deeply-supervised nets", AISTATS 2015.
    """
    heads = getattr(network, "supervised_heads", 1)
    if heads == 1:
        return loss
    weights = [0.5**scale for scale in range(heads)]

    def value(logits: Tensor, target: Tensor, maps: Tensor | None) -> Tensor:
        parts = [w * loss(part, target, maps) for w, part in zip(weights, logits.chunk(heads, 1), strict=True)]
        return sum(parts[1:], start=parts[0]) / sum(weights)

    return value
