"""What a loss is: options, a value, and the activation that belongs to it."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from losslab.losses.shared.softmax import class_surprisal, one_hot, with_background

VOID = 255
"""In a uint8 target: what is true here is unknown."""

Output = Literal["sigmoid", "softmax", "raw"]
"""What becomes of logits: a probability for each plane, one over all planes, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Loss(ABC):
    """A loss and the activation that belongs to it. Options are fields; a loss holds no other state."""

    float_target = True
    """Whether `value` gets the target as floats, or as it comes: integers are faster to look up."""

    exclusive: bool = False
    """Given by the program, not an option: every known pixel has exactly one of the C classes."""

    asks_for: ClassVar[frozenset[str]] = frozenset()
    """Which of `known` and `maps` are arguments of `value`."""

    maps_of: ClassVar[tuple[str, ...]] = ()
    """What `target_maps` has maps of, by the name of the class that makes them: terms of a `sum` share them."""

    def __init_subclass__(cls) -> None:
        cls.asks_for = frozenset({"known", "maps"} & set(inspect.signature(cls.value).parameters))
        if "target_maps" in vars(cls) and "maps_of" not in vars(cls):
            cls.maps_of = (cls.__qualname__,)

    def __call__(self, logits: Tensor, target: Tensor, maps: Tensor | None = None) -> Tensor:
        """The loss, a scalar float32 tensor (float64 for float64 logits) on the device of `logits`.

        Args:
            logits: raw network output `[N, C, H, W]`, float; computed on in float32 at least.
            target: planes `[N, C, H, W]` of 0 and 1; planes may overlap. In uint8 also 255, void: the loss does not
                see such pixels. With softmax, a pixel is void in every plane if it is in one.
            maps: what `target_maps` gave for these targets; computed on the fly when not given.
        """
        if logits.ndim != 4 or logits.shape != target.shape:
            shapes = f"{list(logits.shape)} and {list(target.shape)}"
            raise ValueError(f"logits and target must have the same shape [N, C, H, W]; they have {shapes}")
        if not logits.is_floating_point():
            raise TypeError(f"logits must be floating point; they are {logits.dtype}")
        logits, known = at_least_float32(logits), None
        if target.dtype == torch.uint8:
            void = self.void(target)
            # A background that is predicted right has no gradient, and counts in no overlap.
            logits = logits.masked_fill(void, 0.0 if self.output == "raw" else -100.0)
            target, known = target.masked_fill(void, 0), (~void).to(logits.dtype)
        return self.of_known(logits, target, known, maps)

    def of_known(self, logits: Tensor, target: Tensor, known: Tensor | None, maps: Tensor | None) -> Tensor:
        """`value` with what it asks for.

        A loss that does not ask for `known` sees void pixels as background that is predicted right: without a
        gradient, but its mean over pixels is that over the known ones times their share.
        """
        given: dict[str, Any] = {"known": known, "maps": maps}
        if self.float_target:
            target = target.to(logits.dtype)
        return self.value(logits, target, **{name: given[name] for name in self.asks_for})

    @abstractmethod
    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of checked logits and a target of the same shape, and dtype if `float_target`.

        It may ask for two more, each by an argument of that name with the default None:

        known: float `[N, C, H, W]`, 1 where the target is known, 0 where it is void; None if all is. Where it is 0
            the logits are −100 (0 for losses of raw outputs) and the target 0. `mean(values, known)` is the mean.
        maps: what `target_maps` gave for these targets, or None.
        """

    def void(self, target: Tensor) -> Tensor:
        """Where a uint8 target `[N, C, H, W]` is unknown to this loss: bool of the same shape."""
        void = target == VOID
        return void.any(1, keepdim=True).expand_as(target) if self.output == "softmax" else void

    def fitted(self, masks: Tensor) -> "Loss":
        """This loss with what it takes from all training masks, uint8 `[N, C, H, W]`, filled in."""
        return self

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """What the loss uses that follows from the masks alone, float32 `[N, C, H, W]`; called once per data set.

        Of a `sum` whose terms use several `[N, k·C, H, W]`. To be flipped and indexed as the masks are.
        """
        return None

    @property
    def output(self) -> Output:
        """What this loss makes of logits: softmax where classes exclude each other, else sigmoid."""
        return "softmax" if self.exclusive else "sigmoid"

    def probabilities(self, logits: Tensor) -> Tensor:
        """`[N, C, H, W]` logits → values in [0, 1] of the same shape, float32 (float64 for float64 logits)."""
        logits = at_least_float32(logits)
        if self.output == "sigmoid":
            return logits.sigmoid()
        return logits.softmax(1) if self.exclusive else with_background(logits).softmax(1)[:, 1:]


@dataclass(frozen=True, kw_only=True)
class Activated(Loss):
    """A loss of probabilities, of either activation."""

    activation: Literal["sigmoid", "softmax"] | None = None
    """Null: softmax where classes exclude each other, else sigmoid."""

    @property
    def output(self) -> Output:
        """What this loss makes of logits."""
        return self.activation or ("softmax" if self.exclusive else "sigmoid")

    def prediction(
        self, logits: Tensor, target: Tensor, known: Tensor | None, include_background: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Probabilities and truth as planes that are compared, `[N, C, H, W]`, both 0 where not known.

        For softmax the truth is one class a pixel, the later one where planes overlap, and with
        `include_background` the background is a plane before the others, `[N, 1 + C, H, W]`.
        """
        if self.output == "sigmoid":
            return logits.sigmoid(), target
        if self.exclusive:
            p, truth = logits.softmax(1), target
        else:
            first = 0 if include_background else 1
            p, truth = with_background(logits).softmax(1)[:, first:], one_hot(target)[:, first:]
        return (p, truth) if known is None else (p * known[:, :1], truth * known[:, :1])

    def surprisal(self, logits: Tensor, target: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """−ln of the probability of what is true, and where that is known: `[N, C, H, W]` of planes, or of a softmax
        `[N, H, W]`."""
        if self.output == "softmax":
            return class_surprisal(logits, target, self.exclusive)[0], None if known is None else known[:, 0]
        return binary_cross_entropy_with_logits(logits, target, reduction="none"), known

    def truth(self, target: Tensor) -> Tensor:
        """The planes of a target as a softmax over them can meet it: of planes that overlap the later one."""
        return target if self.exclusive else one_hot(target)[:, 1:]


def mean(values: Tensor, known: Tensor | None) -> Tensor:
    """Mean of values weighed by `known` of the same shape, mostly 0 and 1, or of all; 0 where nothing is known."""
    return values.mean() if known is None else (values * known).sum() / known.sum().clamp_min(1e-6)


def at_least_float32(logits: Tensor) -> Tensor:
    """Half-precision logits as float32: sums over pixels need it. float64 stays."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
