from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import Activated
from losslab.losses.shared.soft_counts import Reduce


@dataclass(frozen=True, kw_only=True)
class Lovasz(Activated):
    """The convex extension of 1 − IoU from sets of wrong pixels to errors of any size.

    L = mean of Σᵢ e₍ᵢ₎·(J(first i wrong) − J(first i − 1 wrong)), errors e sorted from the largest, J = 1 −
    IoU; e = max(0, 1 − logit·(2t − 1)) for sigmoid, a hinge, |p − t| for softmax.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0; unbounded for sigmoid, in [0, 1] for softmax.

    Convention: sigmoid: each plane a problem of its own; perfect when every logit is beyond ±1; an empty mask
    costs its largest error. Softmax: classes and background exclude each other as in `cross_entropy`, and the
    mean is over those present in the truth, background among them. `reduce="batch"` pools the images per
    class, `"sample"` takes one value per image and class (softmax: mean over all present pairs, where the
    paper's code averages within images first). The hinge of segmentation_models_pytorch pools (`batch`), that
    of kornia does not (`sample`).

    Helps: IoU itself is what counts; often used to fine-tune after `bce`, since it is slow to start and needs
    a sort.

    Reference: Berman, Triki and Blaschko, "The Lovász-Softmax loss: a tractable surrogate for the
    optimization of the intersection-over-union measure in neural networks", CVPR 2018.
    """

    reduce: Reduce = "batch"

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        if self.output == "sigmoid":
            errors = (1 - logits * (2 * target - 1)).relu()
            return lovasz(self._rows(errors), self._rows(target)).mean()
        p, target = self.prediction(logits, target, known, include_background=True)
        truth = self._rows(target)
        values = lovasz(self._rows((p - target).abs()), truth)
        present = truth.any(-1).to(values.dtype)
        return (values * present).sum() / present.sum().clamp_min(1)

    def _rows(self, planes: Tensor) -> Tensor:
        """`[N, C, H, W]` → a row for each Jaccard index: `[N·C, H·W]` or `[C, N·H·W]`."""
        if self.reduce == "sample":
            return planes.flatten(0, 1).flatten(1)
        return planes.transpose(0, 1).flatten(1)


def lovasz(errors: Tensor, truth: Tensor) -> Tensor:
    """Lovász extension of 1 − IoU of each row: errors ≥ 0 and truth of 0 and 1, both `[R, P]` → `[R]`."""
    errors, order = errors.sort(dim=-1, descending=True, stable=True)
    positive = (truth > 0).gather(-1, order)
    # Foreground among the first i. Counted in integers: a float cumsum on CUDA is not deterministic.
    hits = positive.cumsum(-1, dtype=torch.int32)
    left = hits[:, -1:] - hits
    # What each pixel adds to 1 − IoU, in closed form: a difference of neighbours has no digits left on large images.
    # Where nothing is true, the first pixel adds all there is.
    union = left + torch.arange(1, errors.shape[-1] + 1, device=errors.device, dtype=torch.int32)
    left[:, 0].clamp_min_(1)
    share = torch.where(positive, 1.0, left.to(errors.dtype) / (union - 1).clamp_min_(1))
    return (errors * (share / union)).sum(-1)
