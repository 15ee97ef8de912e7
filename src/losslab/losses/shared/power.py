"""Powers of errors with a gradient that stays finite."""

import torch
from torch import Tensor

SMALLEST = 1e-12


def power(error: Tensor, exponent: float) -> Tensor:
    """`error ** exponent` for errors ≥ 0; with an exponent under 1, errors under 1e-12 count as 0."""
    if exponent >= 1:
        return error**exponent
    return torch.where(error > SMALLEST, error.clamp_min(SMALLEST) ** exponent, 0.0)
