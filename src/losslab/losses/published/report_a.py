"""Report A: mUNet on shapes and COCO with MSE, Dice and both."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from losslab.losses.loss import mean
from losslab.losses.published.raw import Foreground, RawOutput, scored_channels
from losslab.settings.schema import NonNegative, UnitInterval

EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True)
class ReportAMSE(RawOutput):
    """Report A's MSE on shapes: squared error of raw outputs against label values.

    L = mean over images, planes and pixels of (o − m)², o the raw output, m the mask with its label values.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: no activation; `labels` says what foreground is in m (class_values: 50·(k + 1) in plane k,
    binary: 1, 255); mean over everything; an empty mask is a target like any other. A class counts by its
    label's square: the star (250) 25 times the rectangle (50). Predictions are o / label, within [0, 1].

    Helps: replaying the report.

    Reference: report A, shapes, MSE.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        if known is None:
            return mse_loss(outputs, masks)
        return mean(mse_loss(outputs, masks, reduction="none"), known)


@dataclass(frozen=True, kw_only=True)
class ReportADice(RawOutput):
    """Report A's Dice on shapes: one coefficient over the whole batch, of raw outputs and label values.

    L = 1 − (2·Σom + ε)/(Σo + Σm + ε), sums over images, planes and pixels, ε = 1e-3.

    Shapes: logits and target `[N, C, H, W]` → scalar, unbounded in both directions.

    Convention: no activation; `labels` as in `report_a_mse`. Since o and m are not in [0, 1] it is no Dice
    coefficient: the larger o where m > 0, the lower; it has no least value, is −(label − 1) at a perfect
    single-label output, and has a pole where Σo + Σm + ε = 0. An empty mask gives 1 − ε/(Σo + ε).

    Helps: replaying the report.

    Reference: report A, shapes, Dice.
    """

    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        return 1 - (2 * (outputs * masks).sum() + EPSILON) / (outputs.sum() + masks.sum() + EPSILON)


@dataclass(frozen=True, kw_only=True)
class ReportAMSEDice(RawOutput):
    """Report A's MSE + Dice on shapes, with its vectors that are zeroed once per batch.

    For image b = 0 … B − 1, with ε = 1e-3: dice[c] = 1 − (2·Σom + ε)/(Σo + Σm + ε) for each channel c <
    min(B, C) where Σo + Σm > 0, else what an earlier image left; mse[b] = mean of (o_b − m_b)² over all
    channels if Σm_b > 0 and Σo_b > 0; composite[b] = α·Σmse + (1 − α)·Σdice with the vectors as they are by
    then, if both sums are positive. L = Σcomposite / B, α = `alpha`.

    The report's print loses its indentation at a page break, so three readings are possible. `split`: the
    first step for each channel, the others once an image, after the channels. `channel`: all three for each
    channel, so that composite[b] keeps its last value for which both sums were positive. `image`: all three
    once an image, so that only the last scored channel has a Dice.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: no activation; `labels` as in `report_a_mse`. Which `reading` is the report's is not known:
    docs/replays.md has what each gives. Image 0's MSE is counted B times, image 1's B − 1 times and so on;
    channels from B on are not in the Dice; an image with an empty mask or a negative sum has no MSE. A batch
    where one sum is never positive costs 0, with a gradient of 0: momentum moves the weights on. A loop to
    which nothing was added has no gradient at all, and leaves the weights as they are. As in `report_a_dice`
    the Dice terms reach far below 0, so that a good output switches the loss off. The order of the images
    matters.

    Helps: replaying the report.

    Reference: report A, shapes, MSE + Dice.
    """

    alpha: UnitInterval = 0.5
    reading: Literal["split", "channel", "image"] = "split"

    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        sums = BatchSums(outputs, masks, known)
        dice, counts = sums.dice(scored_channels(outputs))  # [B, scored]
        # The last image up to b that set dice[c], or −1: its value is still there.
        rows = torch.arange(len(dice), device=dice.device).unsqueeze(1)
        last = torch.where(counts, rows, -1).cummax(0).values
        vectors = torch.where(last >= 0, dice.gather(0, last.clamp_min(0)), 0.0)
        match self.reading:
            case "split":
                dice_sums = vectors.sum(1)
            case "image":
                dice_sums = vectors[:, -1]
            case "channel":
                dice_sums = last_positive(sums_by_channel(vectors))
        return sums.composite(self.alpha, 1 - self.alpha, dice_sums)


@dataclass(frozen=True, kw_only=True)
class ReportACocoMSEDice(RawOutput):
    """Report A's MSE + 30·Dice on COCO: the same accumulation, a Dice per image.

    For image b = 0 … B − 1, with ε = 1e-3: dice[b] = 1 − (2·Σom + ε)/(Σo + Σm + ε) if Σo + Σm > 0; mse[b] =
    mean of (o_b − m_b)² if Σm_b > 0 and Σo_b > 0; composite[b] = Σmse + `weight`·Σdice with the vectors as
    they are by then, if both sums are positive. L = Σcomposite / B.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: no activation; one channel in the report (with more, an image's sums run over all of them).
    The print's indentation is lost as in `report_a_mse_dice`; here each step is done once an image. `labels`
    is binary unless said otherwise: the report does not name the masks' values, and its losses, 137 falling
    to 32, are below what MSE alone gives on masks of 0 and 255. Image 0 is counted B times, image 1 B − 1
    times and so on: the order of the images matters. An image with an empty mask or a negative sum has no
    MSE.

    Helps: replaying the report.

    Reference: report A, COCO, MSE + 30·Dice.
    """

    labels: Foreground = "binary"
    weight: NonNegative = 30.0

    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        pixels = None if known is None else known.flatten(1, 2).unsqueeze(1)
        sums = BatchSums(outputs.flatten(1, 2).unsqueeze(1), masks.flatten(1, 2).unsqueeze(1), pixels)
        dice, counts = sums.dice(1)  # [B, 1]
        return sums.composite(1.0, self.weight, so_far(torch.where(counts, dice, 0.0)[:, 0]))


class BatchSums:
    """The sums over pixels of a batch `[B, C, H, W]` that both losses are made of."""

    def __init__(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> None:
        self.outputs, self.masks = outputs.sum((2, 3)), masks.sum((2, 3))  # [B, C]
        self.products = (outputs * masks).sum((2, 3))
        self.mse = mse_loss(outputs, masks, reduction="none").mean((1, 2, 3))  # [B]
        if known is not None:
            self.mse = self.mse / known.mean((1, 2, 3)).clamp_min(0.5 / known[0].numel())

    def dice(self, channels: int) -> tuple[Tensor, Tensor]:
        """The report's Dice of the first channels, and where Σo + Σm > 0, without which it does not count."""
        total = (self.outputs + self.masks)[:, :channels]
        known = total > 0
        # A total that does not count may be −ε, whose quotient would put NaN into the gradient.
        total = torch.where(known, total, 1.0)
        return 1 - (2 * self.products[:, :channels] + EPSILON) / (total + EPSILON), known

    def composite(self, mse_weight: float, dice_weight: float, dice_sums: Tensor) -> Tensor:
        """Σcomposite / B from Σdice as it is after each image, `[B]`."""
        counts = (self.masks.sum(1) > 0) & (self.outputs.sum(1) > 0)
        mse_sums = so_far(torch.where(counts, self.mse, 0.0))
        both = mse_weight * mse_sums + dice_weight * dice_sums
        return torch.where((mse_sums > 0) & (dice_sums > 0), both, 0.0).mean()


def sums_by_channel(vectors: Tensor) -> Tensor:
    """Σdice after channel c of image b, from the vectors after each image, `[B, scored]` both.

    Channels up to c hold image b's values, the others those of the image before.
    """
    before = torch.cat([torch.zeros_like(vectors[:1]), vectors[:-1]])
    done = torch.ones(vectors.shape[1], vectors.shape[1], dtype=torch.bool, device=vectors.device).tril()
    return torch.where(done, vectors.unsqueeze(1), before.unsqueeze(1)).sum(-1)


def last_positive(values: Tensor) -> Tensor:
    """`[B, K]` → the last positive value of each row, 0 where none is."""
    columns = torch.arange(values.shape[1], device=values.device)
    last = torch.where(values > 0, columns, -1).amax(1, keepdim=True)
    return torch.where(last >= 0, values.gather(1, last.clamp_min(0)), 0.0).squeeze(1)


def so_far(values: Tensor) -> Tensor:
    """`[B]` → the sum of the first 1 … B. By a triangle: a float cumsum on CUDA is not deterministic."""
    return values.expand(len(values), -1).tril().sum(1)
