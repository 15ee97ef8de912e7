from dataclasses import dataclass

from torch import Tensor

from losslab.losses.overlap.tversky import Tversky
from losslab.losses.shared.power import power
from losslab.settings.schema import Positive


@dataclass(frozen=True, kw_only=True)
class FocalTversky(Tversky):
    """A power of the Tversky loss of each overlap.

    L = mean of (1 − TI)^(1/γ), with the Tversky index TI of `tversky` and γ = `gamma`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: as `tversky`, empty masks too; the power is taken for each overlap before the mean
    (segmentation_models_pytorch takes it after). γ > 1 raises the slope near a perfect overlap, γ < 1 lowers
    it; the infinite slope at 0 is cut off. `alpha` weighs fp and `beta` fn; the paper's α and β are the other
    way round.

    Helps: small structures with imprecise borders, where Dice stops improving early.

    Reference: Abraham and Khan, "A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation", ISBI 2019.
    """

    gamma: Positive = 4 / 3

    def of_counts(self, tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
        return power(super().of_counts(tp, fp, fn), 1 / self.gamma)
