"""Losses in float32 keep the digits that they have in float64, where it is hard."""

import pytest
import torch
from loss_cases import kind_loss

from losslab import losses
from losslab.losses.overlap.lovasz import lovasz


@pytest.mark.parametrize("logit", [-12.0, -14.0, -16.0, -18.0])
def test_exponential_log_has_a_gradient_on_sure_background(logit: float) -> None:
    gradients = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.full((1, 1, 4, 4), logit, dtype=dtype)
        logits[0, 0, 0, 0] = 3
        target = (logits > 0).to(torch.uint8)
        logits.requires_grad_(True)
        losses.build("exponential_log", pos_weight=1.0)(logits, target).backward()
        assert logits.grad is not None
        gradients.append(logits.grad[0, 0, 3, 3].double())
    assert gradients[0] > 0
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=0)


def test_lovasz_gradients_keep_their_digits_on_many_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    errors = torch.rand(1, 2_000_000, generator=generator)
    truth = (torch.rand(1, 2_000_000, generator=generator) < 0.02).float()
    gradients = []
    for dtype in (torch.float32, torch.float64):
        leaf = errors.to(dtype, copy=True).requires_grad_(True)
        lovasz(leaf, truth.to(dtype)).sum().backward()
        assert leaf.grad is not None
        gradients.append(leaf.grad.double())
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=0)


@pytest.mark.parametrize("truth", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
def test_lovasz_is_the_jaccard_loss_of_each_prefix_of_errors(truth: list[float]) -> None:
    errors = torch.tensor([[1.0, 1.0, 0.0]])  # the first two pixels are wrong
    planes = torch.tensor([truth])
    wrong = errors[0] > 0
    true = planes[0] > 0
    predicted = true ^ wrong
    expected = 1 - (true & predicted).sum() / (true | predicted).sum()
    assert lovasz(errors, planes).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("fraction", "pixels", "k"), [(0.7, 90, 63), (0.1, 10, 1), (0.1, 9, 1), (0.29, 100, 29)])
def test_top_k_takes_its_share_of_pixels(fraction: float, pixels: int, k: int) -> None:
    logits = torch.linspace(-4, 4, pixels).view(1, 1, 1, pixels)
    target = torch.zeros_like(logits)
    hardest = torch.nn.functional.softplus(logits).flatten().topk(k).values.mean()
    torch.testing.assert_close(kind_loss("top_k", fraction=fraction)(logits, target), hardest)
