"""Segmentation losses: pure functions of logits and target, one file per kind.

`build("dice", smooth=1.0)` gives an object; `loss(logits, target)` a scalar to minimise, and
`loss.probabilities(logits)` the values in [0, 1] that a prediction thresholds. To add a loss, write its file, add its
line to `KINDS` and name it in params.yaml; the tests find it by the registry.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator
from torch import Tensor

from losslab.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Loss(ABC):
    """A loss and the activation that belongs to it. Options are fields; a loss holds no other state."""

    @abstractmethod
    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar float32 tensor on the device of `logits`.

        Args:
            logits: raw network output `[N, C, H, W]`, float.
            target: planes `[N, C, H, W]` of 0 and 1, any dtype; planes may overlap.
        """

    def probabilities(self, logits: Tensor) -> Tensor:
        """`[N, C, H, W]` logits to float32 values in [0, 1] of the same shape, plane by plane: the sigmoid."""
        return logits.float().sigmoid()


KINDS = {
    "bce": "bce:BCE",
    "cross_entropy": "cross_entropy:CrossEntropy",
    "dice": "dice:Dice",
    "iou": "iou:IoU",
    "mae": "mae:MAE",
    "mse": "mse:MSE",
    "sum": "sum:Sum",
}

registry: Registry[Loss] = Registry(__name__, KINDS)


def build(kind: str, **options: Any) -> Loss:
    """The loss `kind` with its options; a `pydantic.ValidationError` names what is wrong with them."""
    return registry.build({"kind": kind, **options})


def _from_spec(spec: Any) -> Any:
    return registry.build(spec) if isinstance(spec, dict) else spec


LossSpec = Annotated[Loss, BeforeValidator(_from_spec)]
"""A loss within a loss: in params.yaml a mapping with `kind` and its options."""
