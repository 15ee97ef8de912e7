from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from losslab.losses.loss import VOID
from losslab.losses.shared.distance import DistanceLoss, signed_distances
from losslab.settings.schema import Positive


@dataclass(frozen=True, kw_only=True)
class Hausdorff(DistanceLoss):
    """Squared errors, each weighed by a power of its distance from the object's edge.

    L = mean over images, planes and pixels of (p − t)²·|φ|^α, with p = activation(logit), φ the signed
    distance to the edge of the truth and α = `alpha`.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, up to the image's size in pixels to the power α.

    Convention: activation inside; mean over everything; the paper's one-sided form: the truth's distances,
    once per data set, without those of the prediction (MONAI adds these, so the two agree where every p is
    below ½). A mask that is empty or full has no edge: it costs 0 and has no gradient, whatever is predicted.

    Helps: beside a region loss, in a `sum`, against stray pixels far from the object. Values are large: with
    a weight of about 1/size^α.

    Reference: Karimi and Salcudean, "Reducing the Hausdorff distance in medical image segmentation with
    convolutional neural networks", IEEE TMI 2020.
    """

    alpha: Positive = 2.0
    sides: Literal["truth", "both"] = "truth"

    def errors(self, p: Tensor, truth: Tensor, distances: Tensor, known: Tensor | None) -> Tensor:
        weights = distances.abs() ** self.alpha
        if self.sides == "both":
            predicted = (p.detach() > 0.5).to(p.dtype)
            if known is not None:
                predicted = predicted.masked_fill(known == 0, VOID)
            weights = weights + signed_distances(predicted).abs() ** self.alpha
        return (p - truth).square() * weights
