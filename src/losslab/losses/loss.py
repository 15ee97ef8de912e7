"""What a loss is: options, a value, and the activation that belongs to it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


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
            shapes = f"{list(logits.shape)} and {list(target.shape)}"
            raise ValueError(f"logits and target must have the same shape [N, C, H, W]; they have {shapes}")
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
