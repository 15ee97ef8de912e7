from dataclasses import dataclass

from torch import Tensor

from losslab.losses.shared.distance import DistanceLoss


@dataclass(frozen=True, kw_only=True)
class Boundary(DistanceLoss):
    """Wrong pixels, each weighed by its distance from the object's edge.

    L = mean over images, planes and pixels of φ·(p − t) = |φ|·|p − t|, with p = activation(logit) and φ the
    signed distance to the edge of the truth, negative inside.

    Shapes: logits and target `[N, C, H, W]` → scalar ≥ 0, up to the image's size in pixels.

    Convention: activation inside; mean over everything; φ in pixels, once per data set. The paper drops the
    constant φ·t, so its value may be negative, with the same gradient; its code uses φ + 1 inside, so that
    pixels at the edge have no weight. A mask that is empty or full has no edge: it costs 0 and has no
    gradient, whatever is predicted.

    Helps: beside a region loss, in a `sum`; alone it allows false alarms on empty masks and nothing holds the
    edge.

    Reference: Kervadec, Bouchtiba, Desrosiers, Granger, Dolz and Ben Ayed, "Boundary loss for highly
    unbalanced segmentation", MIDL 2019.
    """

    def errors(self, p: Tensor, truth: Tensor, distances: Tensor, known: Tensor | None) -> Tensor:
        return distances * (p - truth)
