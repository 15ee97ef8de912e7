"""What the tests of losses share: every registered kind, a batch, and the few facts in which kinds differ."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from losslab.losses import KINDS, Loss, build
from losslab.losses.published.raw import RawOutput, label_values

NEEDED: dict[str, dict[str, Any]] = {
    "sum": {"terms": [{"loss": {"kind": "mse"}}, {"loss": {"kind": "dice"}, "weight": 0.5}]},
}
"""Options without a default."""

SIGNED = {"report_a_dice", "report_b_dice", "report_b_mse_dice", "report_b_mae_dice"}
"""Not ≥ 0 and not 0 at a perfect prediction: their docstrings say why."""

ORDERED = {"report_a_mse_dice", "report_a_coco"}
"""The order of the images matters, and a term switches off on the way: not monotone either."""

CAUTIOUS = {"margin_smoothing"}
"""Being too sure costs, also where it is right."""

NEIGHBOURS = {"blob_dice", "boundary", "boundary_dou", "cl_dice", "hausdorff", "rmi", "skeleton_recall"}
"""A pixel counts by what is around it."""

UNEQUAL = {kind for kind in KINDS if kind.startswith("report_")}
"""Classes are treated differently: by their label values, or by not being scored."""


def kind_loss(kind: str, **options: Any) -> Loss:
    return build(kind, **NEEDED.get(kind, {}) | options)


def batch(images: int = 3, classes: int = 4, size: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits and planes that do not overlap, each class present in the batch."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, size, size, generator=generator)
    labels = torch.randint(-1, classes, (images, 1, size, size), generator=generator)
    return logits, (labels == torch.arange(classes).view(1, -1, 1, 1)).to(torch.uint8)


def exclusive_batch(images: int = 3, classes: int = 4, size: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """As `batch`, but every pixel has one of the classes."""
    logits, target = batch(images, classes, size, seed)
    target[:, 0] |= target.sum(1) == 0
    return logits, target


def perfect(loss: Loss, target: Tensor, size: float = 100.0) -> Tensor:
    """Logits that predict `target`: label values for a loss of raw outputs, else ±`size`."""
    target = target.float()
    if isinstance(loss, RawOutput):
        return target * label_values(loss.labels, target)
    return (2 * target - 1) * size


def value_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    logits = logits.detach().requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert logits.grad is not None
    return value.detach(), logits.grad
