"""Report B: shapes and COCO at 64 pixels with MSE, MAE, Dice and both."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor
from torch.linalg import vector_norm

from losslab.losses.published.raw import RawOutput, scored_channels
from losslab.settings.schema import NonNegative


@dataclass(frozen=True, kw_only=True)
class ScoredOutput(RawOutput):
    """A mean over images, scored channels and pixels, made a sum over the scored channels / B."""

    @abstractmethod
    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        """The mean, of the scored channels of raw outputs and label-valued masks.

        A pixel that is void is 0 in both, and costs 0; a plane's sum counts 1/`share` times, the share `[B, C, 1, 1]`
        of its pixels that are known.
        """

    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        channels = scored_channels(outputs)
        if channels < outputs.shape[1]:  # a slice, even of all, costs a copy in the backward pass
            outputs, masks = outputs[:, :channels], masks[:, :channels]
        share = None
        if known is not None:
            share = known[:, :channels].mean((2, 3), keepdim=True).clamp_min(0.5 / known[0, 0].numel())
        return self.mean(outputs, masks, share) * (channels / len(outputs))


@dataclass(frozen=True, kw_only=True)
class ReportBMSE(ScoredOutput):
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

    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        errors = outputs - masks
        if share is not None:
            return (errors.square() / share).mean()
        mean: Tensor = vector_norm(errors).square() / outputs.numel()
        return mean


@dataclass(frozen=True, kw_only=True)
class ReportBMAE(ScoredOutput):
    """Report B's MAE: absolute error of raw outputs against label values, on the scored channels.

    L = Σ over c < min(B, C) of mean of |o − m| over images and pixels, / B.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: as `report_b_mse`; an empty mask is a target like any other. The report uses it on COCO with
    `labels: 255`, where MSE diverged.

    Helps: replaying the report.

    Reference: report B, COCO, MAE.
    """

    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        errors = (outputs - masks).abs()
        return errors.mean() if share is None else (errors / share).mean()


@dataclass(frozen=True, kw_only=True)
class ReportBDice(ScoredOutput):
    """Report B's Dice: a quotient for every pixel, of raw outputs and label values.

    L = Σ over c < min(B, C) of mean of 1 − (2om + 1)/(o + m + 1) over images and pixels, / B.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as `report_b_mse`. Since o and m are not in [0, 1] it is no Dice coefficient: it falls as o
    grows where m > 1, has a pole at o = −m − 1, and on background it is o/(o + 1). An empty mask counts as
    its background.

    Helps: replaying the report.

    Reference: report B, Dice.
    """

    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        return pixel_dice(outputs, masks, share)


@dataclass(frozen=True, kw_only=True)
class ReportBMSEDice(ReportBMSE):
    """Report B's MSE + s·Dice.

    L = `report_b_mse` + s·`report_b_dice`, s = `scale`.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as its terms. The report tries s = 200, 300 and 400 on shapes. An empty mask counts as in its
    terms.

    Helps: replaying the report.

    Reference: report B, shapes, MSE + s·Dice.
    """

    scale: NonNegative = 200.0

    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        return super().mean(outputs, masks, share) + self.scale * pixel_dice(outputs, masks, share)


@dataclass(frozen=True, kw_only=True)
class ReportBMAEDice(ReportBMAE):
    """Report B's MAE + s·Dice.

    L = `report_b_mae` + s·`report_b_dice`, s = `scale`.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: as its terms. The report takes s = 100 on COCO, with `labels: 255`. An empty mask counts as in
    its terms.

    Helps: replaying the report.

    Reference: report B, COCO, MAE + 100·Dice.
    """

    scale: NonNegative = 100.0

    def mean(self, outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
        return super().mean(outputs, masks, share) + self.scale * pixel_dice(outputs, masks, share)


def pixel_dice(outputs: Tensor, masks: Tensor, share: Tensor | None) -> Tensor:
    """Mean of 1 − (2om + 1)/(o + m + 1)."""
    overlap = (2 * outputs * masks + 1) / (outputs + masks + 1)
    return 1 - overlap.mean() if share is None else ((1 - overlap) / share).mean()
