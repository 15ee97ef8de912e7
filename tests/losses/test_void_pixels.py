"""Void pixels, 255 in a uint8 target, of which no loss sees anything: of any kind, with either activation."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from loss_cases import NEEDED, NEIGHBOURS, batch, exclusive_batch, kind_loss, value_and_gradient
from torch import Tensor

from losslab.losses import KINDS, registry
from losslab.losses.loss import VOID

VARIANTS = [
    *((kind, {}) for kind in KINDS),
    *((kind, {"exclusive": True}) for kind in KINDS),
    *((k, {"activation": "softmax"}) for k in KINDS if "activation" in {f.name for f in fields(registry.resolve(k))}),
    *((kind, {"activation": "softmax", "include_background": True}) for kind in ("dice", "tversky")),
    ("bce", {"pos_weight": "balanced", "label_smoothing": 0.2}),
    ("bce", {"pos_weight": 3, "activation": "softmax"}),
    ("cross_entropy", {"class_weights": "balanced", "label_smoothing": 0.2}),
    ("cross_entropy", {"class_weights": [1, 2, 3, 4, 5]}),
    ("dice", {"reduce": "sample", "empty": "skip"}),
    ("focal", {"gamma": 0.5, "alpha": None}),
    ("focal", {"activation": "softmax", "class_weights": [1, 2, 3, 4, 5]}),
    ("dice", {"class_weights": [1, 2, 3, 0.1]}),
    ("hausdorff", {"sides": "both"}),
    ("jaccard_metric", {"form": "dice", "boundary_smoothing": 0.3}),
    ("ohem", {"threshold": 0.01, "least": 0.5}),
    ("sensitivity_specificity", {"reduce": "sample"}),
    ("mcc", {"reduce": "sample"}),
    ("top_k", {"reduce": "sample", "fraction": 0.3}),
    ("unified_focal", {"reduce": "sample"}),
    ("report_a_mse_dice", {"reading": "channel"}),
    ("report_a_mse_dice", {"reading": "image"}),
]
"""Kinds and options. A kind whose `value` takes no `known`, as one of your own may not, is held to less below."""

variants = pytest.mark.parametrize(
    ("kind", "options"), VARIANTS, ids=lambda x: x if isinstance(x, str) else "-".join(map(str, x)) or "default"
)


def images(options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    logits, target = exclusive_batch() if options.get("exclusive") else batch()
    return logits + 0.5, target  # outputs of positive sum, without which some published terms are off


def bordered(logits: Tensor, target: Tensor, size: float) -> tuple[Tensor, Tensor]:
    """The images with a border of void pixels, wider on one side, of any content up to `size`."""
    n, c, h, w = logits.shape
    larger = size * torch.randn(n, c, h + 5, w + 3, generator=torch.Generator().manual_seed(1))
    unknown = torch.full((n, c, h + 5, w + 3), VOID, dtype=torch.uint8)
    larger[:, :, 2:-3, 1:-2], unknown[:, :, 2:-3, 1:-2] = logits, target
    return larger, unknown


@variants
@pytest.mark.parametrize("size", [1, 1e4])
def test_a_void_border_changes_neither_value_nor_gradient_and_has_none(
    kind: str, options: dict[str, Any], size: float
) -> None:
    loss, (logits, target) = kind_loss(kind, **options), images(options)
    value, gradient = value_and_gradient(loss, logits, target.float())
    padded, padded_gradient = value_and_gradient(loss, *bordered(logits, target, size))
    inner = torch.zeros_like(padded_gradient, dtype=torch.bool)
    inner[:, :, 2:-3, 1:-2] = True
    assert (padded_gradient[~inner] == 0).all()
    if "known" in loss.asks_for:
        torch.testing.assert_close(padded, value)
        torch.testing.assert_close(padded_gradient[inner].view_as(gradient), gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", [k for k in KINDS if "known" in kind_loss(k).asks_for and k not in NEIGHBOURS])
def test_each_plane_has_void_pixels_of_its_own(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind, **one_plane(kind)), batch(images=1, classes=1)
    void = torch.rand(target.shape, generator=torch.Generator().manual_seed(0)) < 0.4
    value = loss(logits, target.masked_fill(void, VOID))
    rest = [planes[~void].view(1, 1, 1, -1) for planes in (logits, target.float())]
    torch.testing.assert_close(value, loss(*rest))


def one_plane(kind: str) -> dict[str, Any]:
    return {} if kind in NEEDED or not hasattr(registry.resolve(kind), "reduce") else {"reduce": "sample"}


@pytest.mark.parametrize("kind", ["cross_entropy", "dice", "focal", "mse", "boundary"])
def test_with_a_softmax_a_pixel_void_in_one_plane_is_void_in_all(kind: str) -> None:
    loss = kind_loss(kind, **({} if kind == "cross_entropy" else {"activation": "softmax"}))
    logits, target = batch()
    void = torch.rand(len(target), 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3
    in_one = target.clone()
    in_one[:, 1:2][void] = VOID
    in_all = target.masked_fill(void, VOID)
    for value, expected in zip(
        value_and_gradient(loss, logits, in_one), value_and_gradient(loss, logits, in_all), strict=True
    ):
        torch.testing.assert_close(value, expected, rtol=0, atol=0)
    maps, expected_maps = loss.target_maps(in_one), loss.target_maps(in_all)
    assert maps is expected_maps is None or torch.equal(maps, expected_maps)


@variants
def test_where_everything_is_void_the_value_is_finite_without_a_gradient(kind: str, options: dict[str, Any]) -> None:
    loss, (logits, target) = kind_loss(kind, **options), images(options)
    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, VOID))
    assert value.isfinite()
    assert (gradient == 0).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("bce", {"pos_weight": "balanced"}),
        ("exponential_log", {"pos_weight": "balanced"}),
        ("cross_entropy", {"class_weights": "balanced"}),
        ("cross_entropy", {"class_weights": "balanced", "exclusive": True}),
    ],
)
def test_weights_of_the_training_masks_are_those_of_what_is_known(kind: str, options: dict[str, Any]) -> None:
    loss, (logits, target) = kind_loss(kind, **options), images(options)
    _, with_border = bordered(logits, target, 1)
    assert loss.fitted(with_border) == loss.fitted(target) != loss


@pytest.mark.parametrize("kind", ["boundary", "hausdorff"])
def test_maps_made_once_are_those_made_on_the_fly(kind: str) -> None:
    loss = kind_loss(kind)
    logits, target = bordered(*batch(), 1)
    maps = loss.target_maps(target)
    assert maps is not None
    torch.testing.assert_close(loss(logits, target, maps), loss(logits, target), rtol=0, atol=0)
    torch.testing.assert_close(maps[:, :, 2:-3, 1:-2], loss.target_maps(batch()[1]), rtol=0, atol=0)
