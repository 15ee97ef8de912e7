from dataclasses import dataclass

from torch import Tensor

from losslab.losses.shared.overlap import TINY, Overlap


@dataclass(frozen=True, kw_only=True)
class Dice(Overlap):
    """One minus the soft Dice coefficient (F1 of the pixels).

    L = mean of 1 − (2·tp + s)/(2·tp + fp + fn + s), with soft counts of p = activation(logit) and s =
    `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: activation inside; `reduce="batch"` pools the images and averages over classes, `"sample"`
    averages over images and classes. An empty mask costs Σp/(Σp + s): 0 for an empty prediction when s > 0,
    while with s = 0 empty planes of truth and prediction count as a perfect 0; `empty="skip"` leaves empty
    masks out of the mean. Of a softmax the background is left out unless `include_background`. Sums are not
    squared (`squared_dice` has squares). MONAI's `DiceLoss` is the same; segmentation_models_pytorch gives a
    class that is absent from the batch 0, and its smooth of 1 is 2 here.

    Helps: rare foreground, since background that is right does not count. Probabilities become nearly 0 or 1:
    not calibrated. With `reduce="sample"` and many absent classes the empty masks set most of the gradient.

    Reference: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016; Sudre et al., 2017, for the unsquared sums.
    """

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        wrong = fp + fn
        return wrong / (2 * tp + wrong + self.smooth).clamp_min(TINY)
