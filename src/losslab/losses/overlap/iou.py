from dataclasses import dataclass

from torch import Tensor

from losslab.losses.shared.overlap import TINY, Overlap


@dataclass(frozen=True, kw_only=True)
class IoU(Overlap):
    """One minus the soft intersection over union.

    L = mean of 1 − (tp + s)/(tp + fp + fn + s), with soft counts of p = activation(logit) and s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: as `dice`: activation inside; `reduce="batch"` pools the images and averages over classes,
    `"sample"` averages over images and classes; an empty mask costs Σp/(Σp + s), with s = 0 two empty planes
    cost 0, and `empty="skip"` leaves empty masks out of the mean. MONAI's `jaccard=True` adds its smooth to
    twice the counts, so its 1 is ½ here; segmentation_models_pytorch gives a class that is absent from the
    batch 0.

    Helps: as `dice`, when IoU is what is scored; its gradient is flatter far from the truth and steeper near
    it.

    Reference: Rahman and Wang, "Optimizing intersection-over-union in deep neural networks for image
    segmentation", ISVC 2016.
    """

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        wrong = fp + fn
        return wrong / (tp + wrong + self.smooth).clamp_min(TINY)
