"""The losses of reports A and B written as plain loops, line by line as the reports state them.

B images a batch, C channels, `o` the raw output and `m` the mask with its label values, both `[B, C, H, W]`.
The loop over channels runs to the batch size, so that channels from B on are never scored.
"""

from collections.abc import Callable

import torch
from torch import Tensor

EPSILON = 1e-3


def report_a_mse(o: Tensor, m: Tensor) -> Tensor:
    total = o.new_zeros(())
    for b in range(o.shape[0]):
        for c in range(o.shape[1]):
            total = total + ((o[b, c] - m[b, c]) ** 2).sum()
    return total / o.numel()


def report_a_dice(o: Tensor, m: Tensor) -> Tensor:
    products, outputs, masks = o.new_zeros(()), o.new_zeros(()), o.new_zeros(())
    for b in range(o.shape[0]):
        for c in range(o.shape[1]):
            products = products + (o[b, c] * m[b, c]).sum()
            outputs = outputs + o[b, c].sum()
            masks = masks + m[b, c].sum()
    return 1 - (2 * products + EPSILON) / (outputs + masks + EPSILON)


def dice_of(o: Tensor, m: Tensor) -> Tensor:
    return 1 - (2 * (o * m).sum() + EPSILON) / (o.sum() + m.sum() + EPSILON)


def report_a_mse_dice(o: Tensor, m: Tensor, alpha: float = 0.5, reading: str = "split") -> Tensor:
    """The three steps, with the indentation of each `reading`."""
    images, channels = o.shape[:2]
    mse = [o.new_zeros(())] * images
    dice = [o.new_zeros(())] * images
    composite = [o.new_zeros(())] * images

    def step_dice(b: int, c: int) -> None:
        if c < channels and o[b, c].sum() + m[b, c].sum() > 0:
            dice[c] = dice_of(o[b, c], m[b, c])

    def step_mse(b: int) -> None:
        if m[b].sum() > 0 and o[b].sum() > 0:
            mse[b] = ((o[b] - m[b]) ** 2).mean()

    def step_composite(b: int) -> None:
        if sum(mse) > 0 and sum(dice) > 0:
            composite[b] = alpha * sum(mse) + (1 - alpha) * sum(dice)

    for b in range(images):
        for c in range(images):
            if reading != "image":
                step_dice(b, c)
            if reading == "channel":
                step_mse(b)
                step_composite(b)
        if reading == "image":
            step_dice(b, min(images, channels) - 1)
        if reading != "channel":
            step_mse(b)
            step_composite(b)
    return torch.stack(composite).sum() / images


def report_a_coco(o: Tensor, m: Tensor, weight: float = 30.0) -> Tensor:
    images = o.shape[0]
    mse = [o.new_zeros(())] * images
    dice = [o.new_zeros(())] * images
    composite = [o.new_zeros(())] * images
    for b in range(images):
        if o[b].sum() + m[b].sum() > 0:
            dice[b] = dice_of(o[b], m[b])
        if m[b].sum() > 0 and o[b].sum() > 0:
            mse[b] = ((o[b] - m[b]) ** 2).mean()
        if sum(mse) > 0 and sum(dice) > 0:
            composite[b] = sum(mse) + weight * sum(dice)
    return torch.stack(composite).sum() / images


def scored_loop(pixels: Callable[[Tensor, Tensor], Tensor], o: Tensor, m: Tensor) -> Tensor:
    """`pixels` of a plane, averaged over it, summed over scored channels, / B; mean over the batch."""
    images, channels = o.shape[:2]
    total = o.new_zeros(())
    for b in range(images):
        image = o.new_zeros(())
        for c in range(images):
            if c < channels:
                image = image + pixels(o[b, c], m[b, c]).mean()
        total = total + image / images
    return total / images


def report_b_mse(o: Tensor, m: Tensor) -> Tensor:
    return scored_loop(lambda o, m: (o - m) ** 2, o, m)


def report_b_mae(o: Tensor, m: Tensor) -> Tensor:
    return scored_loop(lambda o, m: (o - m).abs(), o, m)


def report_b_dice(o: Tensor, m: Tensor) -> Tensor:
    return scored_loop(lambda o, m: 1 - (2 * o * m + 1) / (o + m + 1), o, m)


def report_b_mse_dice(o: Tensor, m: Tensor, scale: float = 200.0) -> Tensor:
    return report_b_mse(o, m) + scale * report_b_dice(o, m)


def report_b_mae_dice(o: Tensor, m: Tensor, scale: float = 100.0) -> Tensor:
    return report_b_mae(o, m) + scale * report_b_dice(o, m)
