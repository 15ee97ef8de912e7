from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from losslab.losses.loss import Activated, mean
from losslab.settings.schema import Positive, UnitInterval


@dataclass(frozen=True, kw_only=True)
class RMI(Activated):
    """Cross-entropy, and how little a neighbourhood of the prediction says of the truth's (region mutual information).

    L = w·mean of −ln p_t + (1 − w)·mean over images and planes of R, w = `weight`, p_t the probability of
    what is true. R = [ln det(M(p) + ε) − ln det(M(t) + ε)]/2d, M(x) = Σ_t − Σ_tx·(Σ_x + ε)⁻¹·Σ_xt what is
    left of the truth's covariance when x is known: Σ are covariances over the image of the d = `side`²
    pixels of a square, ε = `ridge` on the diagonal, p = activation(logit).

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, unbounded.

    Convention: activation inside; squares at every pixel that lie in the image and hold no void pixel; where
    none does, or the mask is empty or full, R is 0. M(t), which has no gradient, is taken off so that a
    perfect prediction costs 0. R is the same for p and 1 − p, so without the cross-entropy it does not know
    which is foreground. The paper takes the squares from maps pooled by 4 and adds the classes up; its code
    adds covariances over the pixels, so that its ridge is less on larger images.

    Helps: outlines and shapes, as neighbours are judged together, with a network as it is; on a processor its
    step costs more than that of a small network.

    Reference: Zhao, Wang, Yang and Cai, "Region mutual information loss for semantic segmentation", NeurIPS
    2019.
    """

    weight: UnitInterval = 0.5
    side: Annotated[int, Field(ge=1, le=9)] = 3
    ridge: Positive = 5e-4

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        surprisal, pixels = self.surprisal(logits, target, known)
        p, truth = self.prediction(logits, target, known)
        d = self.side**2
        # Of errors and truth: near a perfect prediction errors are small, and float32 has all their digits.
        covariance = covariances(p - truth, truth, known, self.side).double()
        errors, mixed, of_truth = covariance[:, :d, :d], covariance[:, :d, d:], covariance[:, d:, d:]
        of_p, across = errors + mixed + mixed.mT + of_truth, mixed + of_truth
        both = torch.cat([torch.cat([of_p, across], 2), torch.cat([across.mT, of_truth], 2)], 1)  # [N·C, 2d, 2d]
        # By det [[A, B], [Bᵀ, D]] = det A · det(D − Bᵀ·A⁻¹·B), and for p = t by the eigenvalues of [[A, A], [A, A]].
        left = self._log_det(both) - self._log_det(of_p)
        least = self._log_det(2 * of_truth) - self._log_det(of_truth)
        least = least + self._log_det(torch.zeros_like(of_truth))
        region = ((left - least) / (2 * d)).mean().to(p.dtype)
        return self.weight * mean(surprisal, pixels) + (1 - self.weight) * region

    def _log_det(self, covariance: Tensor) -> Tensor:
        ridge = self.ridge * torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
        # Without a check for success, which would wait for the device: with a ridge there is a factor.
        factor: Tensor = torch.linalg.cholesky_ex(covariance + ridge).L
        return 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def covariances(first: Tensor, second: Tensor, known: Tensor | None, side: int) -> Tensor:
    """Of the pixels of a square, the first planes' and then the second's, over all whole squares of each plane.

    `[N, C, H, W]` both → `[N·C, 2·side², 2·side²]`, 0 for a plane without a whole known square.
    """
    rows, columns = (max(length - side + 1, 0) for length in first.shape[2:])

    def squares(planes: Tensor) -> Tensor:
        """`[N, C, H, W]` → `[N·C, side², P]`."""
        parts = [planes[:, :, i : i + rows, j : j + columns] for i in range(side) for j in range(side)]
        return torch.stack(parts, 2).flatten(0, 1).flatten(2)

    values = torch.cat([squares(first), squares(second)], dim=1)
    whole: Tensor | None = None
    counts: Tensor | int = max(rows * columns, 1)
    if known is not None:
        whole = squares(known).amin(1, keepdim=True)  # [N·C, 1, P]
        values, counts = values * whole, whole.sum(2, keepdim=True).clamp_min(1)
    centred = values - values.sum(2, keepdim=True) / counts
    if whole is not None:
        centred = centred * whole
    kind = first.device.type
    # Of these products half precision has no digits left.
    with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
        return centred @ centred.mT / counts
