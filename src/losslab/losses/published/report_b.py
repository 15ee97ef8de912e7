"""Report B: shapes and COCO at 64 pixels with MSE, MAE, Dice and both."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torch.linalg import vector_norm

from losslab.losses.published.raw import RawOutput, scored_channels


@dataclass(frozen=True, kw_only=True)
class MSE(RawOutput):
    """Report B's MSE: squared error of raw outputs against label values, on the scored channels.

    L = Σ over c < min(B, C) of mean of (o − m)² over images and pixels, / B: divided by the batch size, not
    by C.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: no activation; `labels` says what foreground is in m (class_values: 50·(k + 1) in plane k,
    binary: 1, 255); channels from B on are not scored; the value depends on the batch size; an empty mask is
    a target like any other. Predictions are o / label, within [0, 1].

    Helps: replaying the report.

    Reference: report B, MSE.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(pixel_mse, outputs, masks)


@dataclass(frozen=True, kw_only=True)
class MAE(RawOutput):
    """Report B's MAE: absolute error of raw outputs against label values, on the scored channels.

    L = Σ over c < min(B, C) of mean of |o − m| over images and pixels, / B.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: as `report_b_mse`; an empty mask is a target like any other. The report uses it on COCO with
    `labels: 255`, where MSE diverged.

    Helps: replaying the report.

    Reference: report B, COCO, MAE.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(pixel_mae, outputs, masks)


@dataclass(frozen=True, kw_only=True)
class Dice(RawOutput):
    """Report B's Dice: a quotient for every pixel, of raw outputs and label values.

    L = Σ over c < min(B, C) of mean of 1 − (2om + 1)/(o + m + 1) over images and pixels, / B.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as `report_b_mse`. Since o and m are not in [0, 1] it is no Dice coefficient: it falls as o
    grows where m > 1, has a pole at o = −m − 1, and on background it is o/(o + 1). An empty mask counts as
    its background.

    Helps: replaying the report.

    Reference: report B, Dice.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(pixel_dice, outputs, masks)


@dataclass(frozen=True, kw_only=True)
class MSEDice(RawOutput):
    """Report B's MSE + s·Dice.

    L = `report_b_mse` + s·`report_b_dice`, s = `scale`.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as its terms. The report tries s = 200, 300 and 400 on shapes. An empty mask counts as in its
    terms.

    Helps: replaying the report.

    Reference: report B, shapes, MSE + s·Dice.
    """

    scale: Annotated[float, Field(ge=0)] = 200.0

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(partial(with_dice, pixel_mse, self.scale), outputs, masks)


@dataclass(frozen=True, kw_only=True)
class MAEDice(RawOutput):
    """Report B's MAE + s·Dice.

    L = `report_b_mae` + s·`report_b_dice`, s = `scale`.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as its terms. The report takes s = 100 on COCO, with `labels: 255`. An empty mask counts as in
    its terms.

    Helps: replaying the report.

    Reference: report B, COCO, MAE + 100·Dice.
    """

    scale: Annotated[float, Field(ge=0)] = 100.0

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(partial(with_dice, pixel_mae, self.scale), outputs, masks)


Parts = tuple[Tensor, Tensor]
"""A mean over pixels, and its slope at each pixel times the number of pixels."""


def per_batch(parts: Callable[[Tensor, Tensor], Parts], outputs: Tensor, masks: Tensor) -> Tensor:
    """A mean over pixels, summed over the scored channels / B, and its mean over the batch."""
    scored = scored_channels(outputs)
    if scored < outputs.shape[1]:  # a slice, even of all, costs a copy in the backward pass
        outputs, masks = outputs[:, :scored], masks[:, :scored]
    with torch.no_grad():
        mean, slope = parts(outputs, masks)
    value: Tensor = MeanWithSlope.apply(outputs, mean, slope)
    return value * (scored / len(outputs))


class MeanWithSlope(torch.autograd.Function):
    """A mean that is known with its slope: few passes over memory, which is what these losses cost."""

    @staticmethod
    def forward(outputs: Tensor, mean: Tensor, slope: Tensor) -> Tensor:
        return mean.clone()

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        context.save_for_backward(inputs[2])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = context.saved_tensors
        return slope * (gradient / slope.numel()), None, None


def pixel_mse(outputs: Tensor, masks: Tensor) -> Parts:
    """(o − m)², its slope 2·(o − m)."""
    error = outputs - masks
    return vector_norm(error).square() / error.numel(), error.mul_(2)


def pixel_mae(outputs: Tensor, masks: Tensor) -> Parts:
    """|o − m|, its slope the sign of o − m."""
    error = outputs - masks
    mean = error.abs_().mean()  # vector_norm(error, 1) takes twice as long as all of this
    return mean, torch.sub(outputs, masks, out=error).sgn_()  # a second array costs more than to subtract again


def pixel_dice(outputs: Tensor, masks: Tensor) -> Parts:
    """1 − q, q = (2om + 1)/(o + m + 1), its slope (q − 2m)/(o + m + 1)."""
    total = (outputs + masks).add_(1)
    quotient = (outputs * masks).mul_(2).add_(1).div_(total)
    return 1 - quotient.mean(), quotient.sub_(masks, alpha=2).div_(total)


def with_dice(error: Callable[[Tensor, Tensor], Parts], scale: float, outputs: Tensor, masks: Tensor) -> Parts:
    """The error + `scale` times the Dice of each pixel."""
    (mean, slope), (dice, dice_slope) = error(outputs, masks), pixel_dice(outputs, masks)
    return mean + scale * dice, slope.add_(dice_slope, alpha=scale)
