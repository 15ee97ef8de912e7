"""The largest of many values, where some may not be known."""

import torch
from torch import Tensor


def hardest(values: Tensor, share: float, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """The largest `share` of each row's known values, from the largest on.

    Args:
        values: ≥ 0, `[R, P]`.
        share: rounded down; one value at least.
        known: 1 or 0 for each value; None if all are.

    Returns:
        `[R, K]`, 0 from the row's own count on, and these counts, int64 `[R, 1]`.
    """
    # A little above, or 0.7 of 90 would be 62: the product is 62.99…
    if known is None:
        count = max(1, int(share * values.shape[-1] + 1e-6))
        return values.topk(count).values, torch.full_like(values[:, :1], count, dtype=torch.int64)
    counts = (share * known.sum(-1, keepdim=True, dtype=torch.float64) + 1e-6).floor().clamp_min(1).long()
    ranked = (values * known).sort(-1, descending=True).values  # void last, as 0
    return ranked * (torch.arange(ranked.shape[-1], device=ranked.device) < counts), counts
