"""Report B: shapes and COCO at 64 pixels with MSE, MAE, Dice and both."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.linalg import vector_norm

from losslab.losses.published.raw import RawOutput, scored_channels


@dataclass(frozen=True, kw_only=True)
class ReportBMSE(RawOutput):
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
        return per_batch(pixel_mse(*scored(outputs, masks)), outputs)


@dataclass(frozen=True, kw_only=True)
class ReportBMAE(RawOutput):
    """Report B's MAE: absolute error of raw outputs against label values, on the scored channels.

    L = Σ over c < min(B, C) of mean of |o − m| over images and pixels, / B.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: as `report_b_mse`; an empty mask is a target like any other. The report uses it on COCO with
    `labels: 255`, where MSE diverged.

    Helps: replaying the report.

    Reference: report B, COCO, MAE.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        return per_batch(pixel_mae(*scored(outputs, masks)), outputs)


@dataclass(frozen=True, kw_only=True)
class ReportBDice(RawOutput):
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
        return per_batch(pixel_dice(*scored(outputs, masks)), outputs)


@dataclass(frozen=True, kw_only=True)
class ReportBMSEDice(RawOutput):
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
        scored_planes = scored(outputs, masks)
        return per_batch(pixel_mse(*scored_planes) + self.scale * pixel_dice(*scored_planes), outputs)


@dataclass(frozen=True, kw_only=True)
class ReportBMAEDice(RawOutput):
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
        scored_planes = scored(outputs, masks)
        return per_batch(pixel_mae(*scored_planes) + self.scale * pixel_dice(*scored_planes), outputs)


def scored(outputs: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The channels that count, of both."""
    channels = scored_channels(outputs)
    if channels == outputs.shape[1]:  # a slice, even of all, costs a copy in the backward pass
        return outputs, masks
    return outputs[:, :channels], masks[:, :channels]


def per_batch(mean: Tensor, outputs: Tensor) -> Tensor:
    """From a mean over images, scored channels and pixels to a sum over the scored channels / B."""
    return mean * (scored_channels(outputs) / len(outputs))


def pixel_mse(outputs: Tensor, masks: Tensor) -> Tensor:
    """Mean of (o − m)²."""
    mean: Tensor = vector_norm(outputs - masks).square() / outputs.numel()
    return mean


def pixel_mae(outputs: Tensor, masks: Tensor) -> Tensor:
    """Mean of |o − m|."""
    return (outputs - masks).abs().mean()


def pixel_dice(outputs: Tensor, masks: Tensor) -> Tensor:
    """Mean of 1 − (2om + 1)/(o + m + 1)."""
    return 1 - ((2 * outputs * masks + 1) / (outputs + masks + 1)).mean()
