"""Soft true positives, false positives and false negatives: the kernel under every overlap loss."""

from typing import Literal

from torch import Tensor

Reduce = Literal["sample", "batch"]
"""`sample`: one overlap per image and class, then the mean. `batch`: pixels of all images pooled."""


def soft_counts(probabilities: Tensor, target: Tensor, reduce: Reduce) -> tuple[Tensor, Tensor, Tensor]:
    """`[N, C, H, W]` probabilities and planes → (tp, fp, fn), each `[N, C]`, or `[C]` for `reduce="batch"`.

    tp = Σ p·t, fp = Σ p·(1 − t), fn = Σ (1 − p)·t; fp = Σp − tp and fn = Σt − tp, so one product is enough.
    """
    dims = (2, 3) if reduce == "sample" else (0, 2, 3)
    target = target.to(probabilities.dtype)
    tp = (probabilities * target).sum(dims)
    return tp, probabilities.sum(dims) - tp, target.sum(dims) - tp
