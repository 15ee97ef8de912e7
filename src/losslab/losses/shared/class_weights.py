"""Weights against the imbalance of classes: the option's schema, and weights from the pixels of masks."""

from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from losslab.errors import did_you_mean
from losslab.losses.shared.device_constants import constant

Weights = str | float | tuple[float, ...]


def _checked(value: Any) -> Any:
    if value in ("none", "balanced"):
        return value
    numbers = value if isinstance(value, list | tuple) and value else [value]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < float("inf") for n in numbers):
        hint = did_you_mean(value, ["none", "balanced"]) if isinstance(value, str) else "known: none, balanced"
        raise ValueError(f"not a weight; {hint}, a number > 0, a list of them")
    return tuple(map(float, value)) if isinstance(value, list | tuple) else float(value)


PosWeight = Annotated[
    Weights, BeforeValidator(_checked), Field(description="none, balanced, number > 0, list of C numbers > 0")
]
"""What a foreground pixel weighs against one of background."""


def _listed(value: Any) -> Any:
    if isinstance(checked := _checked(value), float):
        raise ValueError("not class weights; known: none, balanced, a list of 1 + C numbers > 0, background first")
    return checked


ClassWeights = Annotated[
    Weights, BeforeValidator(_listed), Field(description="none, balanced, list of 1 + C numbers > 0")
]
"""What a pixel of each class weighs, the background's first."""


def _planes(value: Any) -> Any:
    if not isinstance(checked := _checked(value), tuple) and checked != "none":
        raise ValueError("not weights of classes; known: none, a list of numbers > 0, one a class")
    return checked


PlaneWeights = Annotated[Weights, BeforeValidator(_planes), Field(description="none, list of C numbers > 0")]
"""What each class weighs in a mean over classes."""


def pos_weight(option: Weights, target: Tensor, known: Tensor | None) -> Tensor | None:
    """Weights that broadcast with `[N, C, H, W]`; "balanced" ones from the planes of `target`."""
    match option:
        case "none":
            return None
        case "balanced":
            return balanced_pos_weight(target, known).to(target.dtype).view(-1, 1, 1)
        case float():
            return target.new_full((1, 1, 1), option)
        case _:
            return listed(option, target, target.shape[1]).view(-1, 1, 1)


def listed(option: Weights, target: Tensor, count: int) -> Tensor:
    """A list of weights as a tensor `[count]` beside `target`."""
    assert isinstance(option, tuple)
    if len(option) != count:
        raise ValueError(f"{len(option)} weights are given: {list(option)}; this data set needs {count}")
    return constant(option, target.device, target.dtype)


def balanced_pos_weight(planes: Tensor, known: Tensor | None = None) -> Tensor:
    """`[C]`: background pixels per foreground pixel, so that both weigh the same; 1 for none seen.

    Pixels that are void are left out: 255 in uint8 planes, 0 in `known`.
    """
    dims = (0, 2, 3)
    if planes.dtype == torch.uint8:
        foreground, background = (planes == 1).sum(dims).double(), (planes == 0).sum(dims)
    else:
        foreground = planes.sum(dims, dtype=torch.float64)
        pixels = planes.numel() / planes.shape[1] if known is None else known.sum(dims, dtype=torch.float64)
        background = pixels - foreground
    return torch.where(foreground > 0, background / foreground.clamp_min(1), 1.0)


def balanced_class_weights(indices: Tensor, count: int) -> Tensor:
    """`[count]`: so that every class seen weighs the same, 1 a pixel on average; 0 for one never seen."""
    pixels = torch.stack([(indices == k).sum() for k in range(count)]).double()
    seen = pixels > 0
    return torch.where(seen, pixels.sum() / (seen.sum() * pixels.clamp_min(1)), 0.0)
