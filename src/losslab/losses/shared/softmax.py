"""Softmax over background and classes, and planes as one class a pixel."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def with_background(logits: Tensor) -> Tensor:
    """`[N, C, H, W]` → `[N, 1 + C, H, W]` with a zero logit for background in front."""
    return pad(logits, (0, 0, 0, 0, 1, 0))


def class_indices(target: Tensor, first: int = 1) -> Tensor:
    """Planes `[N, C, H, W]` → int64 `[N, H, W]`: the pixel's last plane, counted from `first`; 0 for none."""
    # Short ranks keep the product with planes of uint8 or bool short, which is faster than floats.
    count = target.shape[1]
    ranks = torch.arange(first, first + count, device=target.device, dtype=torch.int16).view(1, -1, 1, 1)
    return (target * ranks).amax(dim=1).long()


def one_hot(target: Tensor) -> Tensor:
    """Planes `[N, C, H, W]` → `[N, 1 + C, H, W]` of which exactly one is 1: the last, or background in front."""
    ranks = torch.arange(1 + target.shape[1], device=target.device).view(1, -1, 1, 1)
    return (class_indices(target).unsqueeze(1) == ranks).to(target.dtype)


def surprisals(logits: Tensor, exclusive: bool) -> tuple[Tensor, Tensor]:
    """−ln p and −ln(1 − p) of each plane's softmax, `[N, C, H, W]` both, background left out unless `exclusive`.

    The likeliest plane's 1 − p is the sum of the others, of which no digit is lost; for the rest p ≤ ½.
    """
    log_p = (logits if exclusive else with_background(logits)).log_softmax(1)
    likeliest = log_p.argmax(1, keepdim=True)
    is_likeliest = torch.arange(log_p.shape[1], device=logits.device).view(1, -1, 1, 1) == likeliest
    others = log_p.masked_fill(is_likeliest, -float("inf")).logsumexp(1, keepdim=True)
    log_rest = torch.where(is_likeliest, others, (-log_p.exp().masked_fill(is_likeliest, 0.0)).log1p())
    return (-log_p, -log_rest) if exclusive else (-log_p[:, 1:], -log_rest[:, 1:])


def class_surprisal(logits: Tensor, target: Tensor, exclusive: bool) -> tuple[Tensor, Tensor]:
    """−ln p of each pixel's class, the later one where planes overlap, and the class's number.

    `[N, C, H, W]` both → float and int64 `[N, H, W]`; the number is 0 for background unless `exclusive`.
    """
    indices = class_indices(target, first=0 if exclusive else 1)
    log_p = (logits if exclusive else with_background(logits)).log_softmax(1)
    return -log_p.gather(1, indices.unsqueeze(1)).squeeze(1), indices
