"""Segmentation losses: pure functions of logits and target, one file per kind.

`build("dice", smooth=1.0)` gives an object; `loss(logits, target)` a scalar to minimise, and
`loss.probabilities(logits)` the values in [0, 1] that a prediction thresholds. To add a loss, write its file,
add its line to `KINDS` and name it in params.yaml; the tests find it by the registry.

No kind has an `ignore` option, since the tensors hold planes of 0 and 1 and nothing that says "unknown". Who has
void pixels makes them a background that is predicted right: `logits.masked_fill(void, -100)` and
`target.masked_fill(void, 0)`, with `void` bool `[N, 1, H, W]`. They then have no gradient. Overlaps and the hinge of
`lovasz` are as if they were not there; means over pixels count them as right, so the value is that of the other
pixels times their share of the image.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator
from torch import Tensor

from losslab.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Loss(ABC):
    """A loss and the activation that belongs to it. Options are fields; a loss holds no other state."""

    float_target = True
    """Whether `value` gets the target as floats, or as it comes: integers are faster to look up."""

    def __call__(self, logits: Tensor, target: Tensor, maps: Tensor | None = None) -> Tensor:
        """The loss, a scalar float32 tensor (float64 for float64 logits) on the device of `logits`.

        Args:
            logits: raw network output `[N, C, H, W]`, float; computed on in float32 at least.
            target: planes `[N, C, H, W]` of 0 and 1, any dtype; planes may overlap.
            maps: what `target_maps` gave for these targets; computed on the fly when not given.
        """
        if logits.ndim != 4 or logits.shape != target.shape:
            found = f"{list(logits.shape)} and {list(target.shape)}"
            raise ValueError(f"logits and target must have the same shape [N, C, H, W]; they have {found}")
        if not logits.is_floating_point():
            raise TypeError(f"logits must be floating point; they are {logits.dtype}")
        logits = at_least_float32(logits)
        if self.float_target:
            target = target.to(logits.dtype)
        return self.value(logits, target) if maps is None else self.value_with_maps(logits, target, maps)

    @abstractmethod
    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of checked logits and a target of the same shape, and dtype if `float_target`."""

    def value_with_maps(self, logits: Tensor, target: Tensor, maps: Tensor) -> Tensor:
        """As `value`, given the target's maps; a loss that uses none leaves them."""
        return self.value(logits, target)

    def fitted(self, masks: Tensor) -> "Loss":
        """This loss with what it takes from all training masks, uint8 `[N, C, H, W]`, filled in."""
        return self

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """`distance.signed_distances(masks)` if the loss uses them; called once per data set.

        Every loss that uses maps uses these, so that the terms of a `sum` share them. They are to be flipped,
        cropped and indexed as the masks are.
        """
        return None

    def probabilities(self, logits: Tensor) -> Tensor:
        """`[N, C, H, W]` logits → float32 values in [0, 1] of the same shape: the sigmoid."""
        return at_least_float32(logits).sigmoid()


def at_least_float32(logits: Tensor) -> Tensor:
    """Half-precision logits as float32: sums over pixels need it. float64 stays."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


KINDS = {
    "bce": "bce:BCE",
    "boundary": "boundary:Boundary",
    "combo": "combo:Combo",
    "cross_entropy": "cross_entropy:CrossEntropy",
    "dice": "dice:Dice",
    "exponential_log": "exponential_log:ExponentialLog",
    "focal": "focal:Focal",
    "focal_tversky": "focal_tversky:FocalTversky",
    "generalized_dice": "generalized_dice:GeneralizedDice",
    "hausdorff": "hausdorff:Hausdorff",
    "huber": "huber:Huber",
    "iou": "iou:IoU",
    "log_cosh_dice": "log_cosh_dice:LogCoshDice",
    "lovasz": "lovasz:Lovasz",
    "mae": "mae:MAE",
    "mcc": "mcc:MCC",
    "mse": "mse:MSE",
    "report_a_coco": "published.report_a:CocoMSEDice",
    "report_a_dice": "published.report_a:Dice",
    "report_a_mse": "published.report_a:MSE",
    "report_a_mse_dice": "published.report_a:MSEDice",
    "report_b_dice": "published.report_b:Dice",
    "report_b_mae": "published.report_b:MAE",
    "report_b_mae_dice": "published.report_b:MAEDice",
    "report_b_mse": "published.report_b:MSE",
    "report_b_mse_dice": "published.report_b:MSEDice",
    "squared_dice": "squared_dice:SquaredDice",
    "sum": "sum:Sum",
    "top_k": "top_k:TopK",
    "tversky": "tversky:Tversky",
    "unified_focal": "unified_focal:UnifiedFocal",
}

registry: Registry[Loss] = Registry(__name__, KINDS)


def build(kind: str, **options: Any) -> Loss:
    """The loss `kind` with its options; a `pydantic.ValidationError` names what is wrong with them."""
    return registry.build({"kind": kind, **options})


def _from_spec(spec: Any) -> Any:
    return registry.build(spec) if isinstance(spec, dict) else spec


LossSpec = Annotated[Loss, BeforeValidator(_from_spec)]
"""A loss within a loss: in params.yaml a mapping with `kind` and its options."""
