"""What docs/losses.md advises for pixels whose truth is unknown."""

from typing import Any

import pytest
import torch
from loss_cases import batch, kind_loss

VOID = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
VOID[..., :3] = True


def with_and_without_void(kind: str, options: dict[str, Any], fill: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss with void pixels made background, and the loss of images from which they are cut away."""
    loss, (logits, target) = kind_loss(kind, **options), batch()
    masked = loss(logits.masked_fill(VOID, fill), target.masked_fill(VOID, 0))
    return masked, loss(logits[..., 3:], target[..., 3:])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("dice", {}),
        ("dice", {"reduce": "sample", "empty": "skip"}),
        ("squared_dice", {}),
        ("generalized_dice", {}),
        ("log_cosh_dice", {}),
        ("iou", {"smooth": 0}),
        ("tversky", {}),
        ("focal_tversky", {}),
        ("lovasz", {}),
    ],
)
def test_an_overlap_is_as_if_they_were_not_there(kind: str, options: dict[str, Any]) -> None:
    torch.testing.assert_close(*with_and_without_void(kind, options, -100))


@pytest.mark.parametrize(
    ("kind", "fill"),
    [
        *((kind, -100) for kind in ("mse", "mae", "huber", "bce", "cross_entropy", "focal")),
        *((kind, 0) for kind in ("report_a_mse", "report_b_mse", "report_b_mae", "report_b_dice")),
    ],
)
def test_a_mean_is_that_of_the_others_times_their_share(kind: str, fill: float) -> None:
    masked, cut = with_and_without_void(kind, {}, fill)
    torch.testing.assert_close(masked, cut * 5 / 8)
