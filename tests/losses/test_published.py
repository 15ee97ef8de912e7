"""The published losses against the reports' loops, on batches smaller than, as large as and larger than C."""

from typing import Any

import published_loops
import pytest
import torch
from loss_cases import batch, kind_loss
from torch import Tensor

from losslab.losses import KINDS
from losslab.losses.published.raw import label_values

REPORTS = [kind for kind in KINDS if kind.startswith("report_")]
CLASSES = 5


def outputs_and_target(images: int, classes: int, scale: float, shift: float, seed: int) -> tuple[Tensor, Tensor]:
    """Outputs around `shift`, some planes of every sign, and planes of which some are empty."""
    logits, target = batch(images, classes, size=6, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    offset = shift * torch.randn(images, classes, 1, 1, generator=generator)
    present = torch.rand(images, classes, 1, 1, generator=generator) < 0.6
    return (scale * logits + offset).double(), target * present


@pytest.mark.parametrize("images", [1, 2, 5, 8])
@pytest.mark.parametrize(("scale", "shift"), [(0.1, 0.2), (1, 1), (30, 60)])
@pytest.mark.parametrize("labels", ["class_values", "binary", 255])
@pytest.mark.parametrize("kind", REPORTS)
def test_value_and_gradient_are_those_of_the_plain_loop(
    kind: str, labels: Any, scale: float, shift: float, images: int
) -> None:
    loss, loop = kind_loss(kind, labels=labels), getattr(published_loops, kind)
    for seed in range(2):
        outputs, target = outputs_and_target(images, CLASSES, scale, shift, seed)
        outputs.requires_grad_()
        value, expected = loss(outputs, target), loop(outputs, target * label_values(labels, outputs))
        torch.testing.assert_close(value, expected)
        gradients = [torch.autograd.grad(v, outputs)[0] if v.requires_grad else 0 * outputs for v in (value, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("images", [1, 2, 5, 8])
@pytest.mark.parametrize(("scale", "shift"), [(0.1, 0.2), (1, 1), (30, 60)])
@pytest.mark.parametrize("reading", ["split", "channel", "image"])
def test_each_reading_of_the_lost_indentation_is_its_plain_loop(
    reading: str, scale: float, shift: float, images: int
) -> None:
    loss = kind_loss("report_a_mse_dice", labels="binary", reading=reading, alpha=0.8)
    for seed in range(8):
        outputs, target = outputs_and_target(images, CLASSES, scale, shift, seed)
        outputs.requires_grad_()
        value = loss(outputs, target)
        expected = published_loops.report_a_mse_dice(outputs, target.double(), 0.8, reading)
        torch.testing.assert_close(value, expected)
        gradients = [torch.autograd.grad(v, outputs)[0] if v.requires_grad else 0 * outputs for v in (value, expected)]
        torch.testing.assert_close(*gradients)


def test_the_readings_differ_where_a_late_channel_brings_the_dice_below_zero() -> None:
    # Outputs of 40 on masks of 50: Dice 1 − 4000/90 < 0. Outputs of ½ on an empty channel: 1 − ε/½ > 0.
    outputs, target = torch.full((2, 2, 1, 1), 0.5), torch.zeros(2, 2, 1, 1)
    outputs[:, 1], target[:, 1] = 80, 1
    values = {
        reading: float(kind_loss("report_a_mse_dice", reading=reading)(outputs, target))
        for reading in ("split", "channel", "image")
    }
    assert values["split"] == values["image"] == 0
    assert values["channel"] > 0


@pytest.mark.parametrize(
    ("kind", "option", "values"),
    [
        ("report_a_mse_dice", "alpha", [0.0, 0.8, 1.0]),
        ("report_a_coco", "weight", [0.0, 5.0]),
        ("report_b_mse_dice", "scale", [0.0, 300.0, 400.0]),
        ("report_b_mae_dice", "scale", [0.0, 30.0]),
    ],
)
def test_the_weight_is_the_reports(kind: str, option: str, values: list[float]) -> None:
    outputs, target = outputs_and_target(4, CLASSES, 0.1, 0.2, seed=0)
    for value in values:
        expected = getattr(published_loops, kind)(outputs, target * label_values("binary", outputs), value)
        torch.testing.assert_close(kind_loss(kind, labels="binary", **{option: value})(outputs, target), expected)


def test_the_random_batches_meet_the_conditions_and_break_them() -> None:
    outputs, target = outputs_and_target(8, CLASSES, 0.1, 0.2, seed=0)
    scored = (outputs + target).sum((2, 3)) > 0
    with_mse = (outputs.sum((1, 2, 3)) > 0) & (target.sum((1, 2, 3)) > 0)
    empty = target.sum((2, 3)) == 0
    for condition in (scored, with_mse, empty):
        assert condition.any()
        assert not condition.all()


def test_with_four_images_the_fifth_channel_is_never_scored() -> None:
    outputs, target = outputs_and_target(4, CLASSES, 1, 1, seed=0)
    other = outputs.clone()
    other[:, 4] += 1
    for kind in ("report_b_mse", "report_b_mae", "report_b_dice"):
        assert kind_loss(kind)(outputs, target) == kind_loss(kind)(other, target)


def test_image_0_is_counted_b_times_in_report_a() -> None:
    # Masks of 1 and outputs of ½ on 1 pixel: MSE ¼ an image, Dice 1 − (1 + ε)/(1.5 + ε) = 0.5/1.501.
    outputs, target = torch.full((4, 1, 1, 1), 0.5), torch.ones(4, 1, 1, 1)
    mse, dice = 0.25 * (1 + 2 + 3 + 4) / 4, 0.5 / 1.501
    coco = kind_loss("report_a_coco")(outputs, target)
    assert float(coco) == pytest.approx(mse + 30 * dice * (1 + 2 + 3 + 4) / 4, rel=1e-5)
    shapes = kind_loss("report_a_mse_dice", labels="binary", alpha=0.5)(outputs, target)
    assert float(shapes) == pytest.approx(0.5 * mse + 0.5 * dice, rel=1e-5)  # one channel: one Dice at any time


@pytest.mark.parametrize(("labels", "values"), [("class_values", [50, 100]), ("binary", [1, 1]), (255, [255, 255])])
def test_half_the_label_value_is_a_probability_of_one_half(labels: Any, values: list[float]) -> None:
    loss = kind_loss("report_a_mse", labels=labels)
    outputs = torch.tensor([[-1.0, 0.0, 0.5, 1.0, 2.0]]) * torch.tensor(values).view(1, 2, 1, 1)
    expected = torch.tensor([0, 0, 0.5, 1, 1]).expand(1, 2, 1, 5)
    torch.testing.assert_close(loss.probabilities(outputs), expected)
