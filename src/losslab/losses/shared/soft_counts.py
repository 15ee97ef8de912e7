"""Soft true positives, false positives and false negatives: the kernel under every overlap loss."""

from typing import Literal

from torch import Tensor

Reduce = Literal["sample", "batch"]
"""`sample`: one overlap per image and class, then the mean. `batch`: pixels of all images pooled."""


def soft_counts(probabilities: Tensor, target: Tensor, reduce: Reduce) -> tuple[Tensor, Tensor, Tensor]:
    """`[N, C, H, W]` probabilities and planes → (tp, fp, fn), each `[N, C]`, or `[C]` for `reduce="batch"`.

    tp = Σ p·t, fp = Σ p·(1 − t), fn = Σ (1 − p)·t; fp = Σp − tp and fn = Σt − tp, so one product is enough.
    """
    dims = _dims(reduce)
    target = target.to(probabilities.dtype)
    tp = (probabilities * target).sum(dims)
    return tp, probabilities.sum(dims) - tp, target.sum(dims) - tp


def pixel_counts(planes: Tensor, known: Tensor | None, reduce: Reduce) -> float | Tensor:
    """The known pixels of each overlap, one number where all are known; at least 1."""
    if known is None:
        return planes.shape[2] * planes.shape[3] * (1 if reduce == "sample" else planes.shape[0])
    return known.sum(_dims(reduce)).clamp_min(1)


def _dims(reduce: Reduce) -> tuple[int, ...]:
    return (2, 3) if reduce == "sample" else (0, 2, 3)
