"""Whether a difference can be chance: an exact paired test over seeds, for a family of comparisons."""

from collections.abc import Sequence
from math import log2

import numpy as np

from losslab.evaluation.aggregates import Floats

_ENUMERATED = 14
"""Up to so many pairs, all signs are enumerated."""


def sign_flip_p(differences: Floats) -> float:
    """Two-sided p of paired differences by flipping their signs (Fisher, 1935): exact up to 14 pairs.

    Says how rarely chance alone would give a mean difference so large, on this test set, if neither were better.
    Returns 1 where all differences are 0, and for a single pair.
    """
    pairs = len(differences)
    if pairs < 2 or not differences.any():
        return 1.0
    exact = pairs <= _ENUMERATED
    if exact:
        flips = np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1
    else:
        flips = np.random.default_rng(0).integers(2, size=(9999, pairs))
    sums = np.abs((1 - 2 * flips) @ differences)
    reached = int((sums >= abs(differences.sum()) * (1 - 1e-12)).sum())
    return reached / len(flips) if exact else (reached + 1) / (len(flips) + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being a family, family-wise error kept (Holm, 1979)."""
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


def smallest_p(pairs: int) -> float:
    """The smallest p that `sign_flip_p` can give: all differences of one sign."""
    return 1.0 if pairs < 2 else max(2 / 2**pairs, 1 / 10_000 if pairs > _ENUMERATED else 0.0)


def seeds_needed(comparisons: int, confidence: float) -> int:
    """The fewest seeds with which the first of so many comparisons can be called: comparisons · 2/2ⁿ ≤ 1 − confidence.

    Six seeds for one comparison at 0.95, eight for five.
    """
    return max(2, int(np.ceil(log2(2 * max(comparisons, 1) / (1 - confidence)) - 1e-9)))
