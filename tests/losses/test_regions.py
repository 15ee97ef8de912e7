"""Losses of neighbourhoods and of connected components against transcriptions of the papers."""

import numpy as np
import pytest
import torch
from loss_cases import batch, kind_loss
from scipy import ndimage
from torch import Tensor

from losslab.losses.structure.components import components


def blob_dice_of_the_paper(p: Tensor, t: Tensor) -> Tensor:
    """Kofler et al.: a Dice for every component, computed on the image without the other components."""
    values = []
    for n, c in np.ndindex(*t.shape[:2]):
        labels, count = ndimage.label(t[n, c].numpy(), np.ones((3, 3)))
        dice = []
        for k in range(1, count + 1):
            seen = torch.from_numpy((labels == 0) | (labels == k))
            of_blob, predicted = torch.from_numpy(labels == k)[seen].double(), p[n, c][seen]
            dice.append(1 - (2 * (of_blob * predicted).sum() + 1) / (of_blob.sum() + predicted.sum() + 1))
        if dice:
            values.append(torch.stack(dice).mean())
    return torch.stack(values).mean()


def rmi_of_the_paper(p: Tensor, t: Tensor, ridge: float) -> Tensor:
    """Zhao et al.: half the logarithm of det(Σ_y − Σ_yp·(Σ_p + ε)⁻¹·Σ_ypᵀ + ε) a dimension, mean over the planes."""
    planes = []
    for n, c in np.ndindex(*t.shape[:2]):
        height, width = t.shape[2:]
        places = [(i, j) for i in range(height - 2) for j in range(width - 2)]
        y = torch.stack([t[n, c, i : i + 3, j : j + 3].flatten() for i, j in places], 1)
        x = torch.stack([p[n, c, i : i + 3, j : j + 3].flatten() for i, j in places], 1)
        y, x = y - y.mean(1, keepdim=True), x - x.mean(1, keepdim=True)
        diagonal = ridge * torch.eye(9, dtype=torch.float64)
        of_y, of_x, of_both = (a @ b.T / len(places) for a, b in ((y, y), (x, x), (y, x)))
        left = of_y - of_both @ torch.linalg.inv(of_x + diagonal) @ of_both.T
        planes.append(0.5 * torch.linalg.slogdet(left + diagonal).logabsdet / 9)
    return torch.stack(planes).mean()


def doubles(**options: int) -> tuple[Tensor, Tensor]:
    logits, target = batch(**options)
    return (2 * logits).double().requires_grad_(), target.double()


def test_blob_dice_is_the_papers() -> None:
    logits, target = doubles(size=12, classes=7)
    target[1, 2] = 0
    ours, papers = kind_loss("blob_dice")(logits, target), blob_dice_of_the_paper(logits.sigmoid(), target)
    torch.testing.assert_close(ours, papers)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (ours, papers)))


def test_rmi_is_the_papers_less_its_value_at_the_truth() -> None:
    logits, target = doubles(images=2, classes=2, size=9)
    ours = kind_loss("rmi", weight=0, ridge=1e-3)(logits, target)
    papers = rmi_of_the_paper(logits.sigmoid(), target, 1e-3)
    torch.testing.assert_close(ours, papers - rmi_of_the_paper(target, target, 1e-3))
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (ours, papers)))


@pytest.mark.parametrize(("activation", "entropy"), [("sigmoid", "bce"), ("softmax", "cross_entropy")])
def test_the_rest_of_rmi_is_the_cross_entropy(activation: str, entropy: str) -> None:
    logits, target = batch()
    expected = kind_loss(entropy)(logits, target.float())
    torch.testing.assert_close(kind_loss("rmi", weight=1, activation=activation)(logits, target.float()), expected)


def test_rmi_alone_does_not_know_foreground_from_background() -> None:
    logits, target = doubles()
    loss = kind_loss("rmi", weight=0)
    torch.testing.assert_close(loss(-logits, target), loss(logits, target))


def test_where_no_square_fits_rmi_is_its_cross_entropy() -> None:
    logits, target = batch(size=2)
    torch.testing.assert_close(kind_loss("rmi")(logits, target), 0.5 * kind_loss("bce")(logits, target))


def test_components_are_numbered_by_their_first_pixel() -> None:
    plane = torch.tensor([[0, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 255, 0, 0], [1, 1, 0, 1, 0]], dtype=torch.uint8)
    expected = [[0, 2, 0, 0, 5], [2, 0, 0, 0, 5], [0, 0, 0, 0, 0], [16, 16, 0, 19, 0]]
    planes = torch.stack([plane, plane.flip(1), torch.zeros_like(plane)]).unsqueeze(0)
    labels = components(planes)
    assert labels.dtype == torch.float32
    assert labels[0, 0].tolist() == expected
    assert labels[0, 1].tolist() == [[1, 0, 0, 4, 0], [1, 0, 0, 0, 4], [0] * 5, [0, 17, 0, 19, 19]]
    assert not labels[0, 2].any()


def squares() -> Tensor:
    """A square of 12 pixels a side, and four of 2."""
    truth = torch.zeros(1, 1, 24, 24)
    truth[..., 1:13, 1:13] = 1
    for column in (1, 7, 13, 19):
        truth[..., 18:20, column : column + 2] = 1
    return truth


def test_a_missed_small_blob_costs_as_much_as_a_missed_large_one() -> None:
    truth = squares()
    values = {}
    for name, rows in (("large", slice(0, 14)), ("small", slice(14, 24))):
        logits = 20 * (2 * truth - 1)
        logits[..., rows, : 7 if name == "small" else None] = -20
        values[name] = [float(kind_loss(kind, smooth=0)(logits, truth)) for kind in ("blob_dice", "dice")]
    (large, large_dice), (small, small_dice) = values["large"], values["small"]
    assert large == pytest.approx(1 / 5)
    assert small == pytest.approx(1 / 5)
    assert small_dice < large_dice / 30


def test_a_sum_gives_each_term_the_maps_that_it_uses() -> None:
    logits, target = batch()
    inner = {"kind": "sum", "terms": [{"loss": {"kind": "hausdorff"}}, {"loss": {"kind": "blob_dice"}}]}
    terms = [{"loss": {"kind": kind}} for kind in ("dice", "blob_dice", "boundary")] + [{"loss": inner}]
    loss = kind_loss("sum", terms=terms)
    maps = loss.target_maps(target)
    assert maps is not None
    alone = {kind: kind_loss(kind) for kind in ("blob_dice", "boundary")}
    for part, each in zip(maps.chunk(2, 1), alone.values(), strict=True):
        torch.testing.assert_close(part, each.target_maps(target), rtol=0, atol=0)
    torch.testing.assert_close(loss(logits, target, maps), loss(logits, target))
    torch.testing.assert_close(
        loss(logits, target, maps.flip(0)),
        sum(
            weight * kind_loss(kind)(logits, target, None if part is None else maps.flip(0)[:, part])
            for kind, weight, part in (
                ("dice", 1, None),
                ("blob_dice", 2, slice(4)),
                ("boundary", 1, slice(4, 8)),
                ("hausdorff", 1, slice(4, 8)),
            )
        ),
    )


@pytest.mark.parametrize(("activation", "entropy"), [("sigmoid", "bce"), ("softmax", "cross_entropy")])
def test_margin_smoothing_is_the_cross_entropy_and_what_lies_beyond_the_margin(activation: str, entropy: str) -> None:
    logits, target = batch()
    logits = 4 * logits
    loss = kind_loss("margin_smoothing", margin=3, weight=0.5, activation=activation)
    excess = []
    for z in logits.movedim(1, -1).reshape(-1, 4).tolist():
        for scores in [[0, *z]] if activation == "softmax" else [[0, one] for one in z]:
            excess.append(sum(max(0, max(scores) - score - 3) for score in scores) / len(scores))
    expected = kind_loss(entropy)(logits, target.float()) + 0.5 * sum(excess) / len(excess)
    torch.testing.assert_close(loss(logits, target.float()), expected)
    exact = kind_loss("margin_smoothing", weight=0, activation=activation)(logits, target.float())
    torch.testing.assert_close(exact, kind_loss(entropy)(logits, target.float()))


def test_margin_smoothing_is_best_about_a_margin_apart() -> None:
    target = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    sure = torch.linspace(0.5, 20, 40)
    values = torch.stack([kind_loss("margin_smoothing", margin=6)(size * (2 * target - 1), target) for size in sure])
    assert float(sure[values.argmin()]) == pytest.approx(6, abs=0.5)
