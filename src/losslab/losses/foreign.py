"""Losses from elsewhere: any class or function of logits and target, of one's own or of another library.

In params.yaml `kind: module:Name`, its `options`, and, where the guess is wrong, what it expects:

    takes: logits | probabilities
    target: planes | indices | one_hot    # [N, C, H, W] of 0 and 1, class numbers [N, H, W], or planes with background
    predicts: sigmoid | softmax           # the activation that belongs to it
    background: true | false              # whether a zero logit for background goes before the C planes
    ignore_index: null | integer          # what it takes for unknown; null: it is given the known pixels only
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from losslab.errors import InputError
from losslab.losses.loss import Loss, Output, at_least_float32
from losslab.losses.shared.softmax import class_indices, with_background
from losslab.settings import signature
from losslab.settings.schema import Section, invalid

TARGETS_OF_INDICES = {"CrossEntropyLoss", "DiceLoss", "FocalLoss", "LovaszSoftmaxLoss", "NLLLoss", "TverskyLoss"}
"""Names in torch.nn and kornia.losses of losses of a softmax over class numbers."""
OF_PROBABILITIES = {"BCELoss", "HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss"}
"""Names in torch.nn of losses that have no activation of their own."""


class Spec(Section):
    """What params.yaml says of a loss from elsewhere."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)
    takes: Literal["logits", "probabilities"]
    target: Literal["planes", "indices", "one_hot"]
    predicts: Literal["sigmoid", "softmax"]
    background: bool
    ignore_index: int | None = None


def complete(spec: Mapping[str, Any], named: Any) -> dict[str, Any]:
    """`spec` with the options checked against the signature, and what it leaves out guessed.

    Raises:
        pydantic.ValidationError: an unknown key or option, one that is missing, or keys that contradict each other.
    """
    options = spec.get("options", {})
    if not isinstance(options, Mapping):
        raise invalid("options", "is not a mapping of options", options)
    for key in spec:
        if key not in Spec.model_fields and key in (signature.parameters(named) or ()):
            raise invalid(key, f"an option of {named.__name__} stands below `options`; move it there", spec[key])
    filled, guessed = guesses(named, options)
    filled = signature.checked(named, filled, _given(named))
    guessed["predicts"] = spec.get("predicts", guessed["predicts"])
    guessed["background"] = guessed["predicts"] == "softmax" and spec.get("target", guessed["target"]) != "planes"
    checked = Spec.model_validate(guessed | dict(spec) | {"options": filled})
    if checked.predicts == "sigmoid" and (checked.target != "planes" or checked.background):
        wrong = "background" if checked.target == "planes" else "target"
        message = "goes with `predicts: softmax`; with sigmoid, classes are planes without background"
        raise invalid(wrong, message, getattr(checked, wrong))
    return checked.model_dump()


def build(spec: Mapping[str, Any], named: Any, exclusive: bool = False) -> Loss:
    """The loss that a spec describes; `exclusive`: each pixel has one of the C classes, so none is put before them."""
    return Foreign(spec=complete(spec, named), named=named, exclusive=exclusive)


def guesses(named: Any, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str | bool]]:
    """Options and keys of the spec as they probably are, by what libraries call them.

    MONAI's classes apply an activation if told to, smp's have a `mode`, kornia's and torch's take class numbers.
    """
    filled, known = dict(options), signature.parameters(named) or {}
    library = str(named.__module__).split(".")[0]
    if {"sigmoid", "softmax"} <= known.keys() and not {"sigmoid", "softmax", "other_act"} & filled.keys():
        filled["sigmoid"] = True
    softmax = bool(filled.get("softmax") or filled.get("use_softmax") or filled.get("mode") == "multiclass")
    target = "one_hot" if softmax else "planes"
    by_name = library in ("kornia", "torch") and named.__name__ in TARGETS_OF_INDICES
    if by_name or filled.get("mode") == "multiclass" or filled.get("to_onehot_y"):
        softmax, target = True, "indices"
    takes = "probabilities" if library == "torch" and named.__name__ in OF_PROBABILITIES else "logits"
    return filled, {"takes": takes, "target": target, "predicts": "softmax" if softmax else "sigmoid"}


def _given(named: Any) -> tuple[str, ...]:
    """The parameters that are no options: a function's first two are logits and target."""
    return tuple(signature.parameters(named) or ())[:2] if inspect.isfunction(named) else ()


@dataclass(frozen=True, kw_only=True)
class Foreign(Loss):
    """A loss from elsewhere, as the loop uses losses.

    Where pixels are unknown and it has no `ignore_index`, it gets the known ones as rows: a row of each image,
    `[1, C, 1, K]`, weighed by its length, if its value for a batch is the mean of those for the images, and else one
    row of all. A pixel is unknown if it is in one of its planes.
    """

    spec: Mapping[str, Any]
    """All of `Spec`, checked."""
    named: Any
    """The class or function."""
    _tried: dict[int, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        return id(self)

    @cached_property
    def function(self) -> Callable[[Tensor, Tensor], Any]:
        """The object, called with predictions and target."""
        hints = signature.type_hints(self.named)
        options = {name: _tensor(value, hints.get(name)) for name, value in self.spec["options"].items()}
        return partial(self.named, **options) if inspect.isfunction(self.named) else self.named(**options)

    def of_known(self, logits: Tensor, target: Tensor, known: Tensor | None, maps: Tensor | None) -> Tensor:
        """The loss of the pixels that are known in all their planes."""
        if known is None:
            return super().of_known(logits, target, known, maps)
        return self._of_pixels(logits, target.to(logits.dtype), (known == 0).any(dim=1))

    def _of_pixels(self, logits: Tensor, planes: Tensor, void: Tensor) -> Tensor:
        """The loss without the pixels that are `void` `[N, H, W]`."""
        if not void.any():
            return self.value(logits, planes)
        if (index := self.spec["ignore_index"]) is not None:
            logits = logits.masked_fill(void[:, None], 0)
            predicted, wanted = self._adapted(logits, planes.masked_fill(void[:, None], 0))
            return self._scalar(predicted, wanted.masked_fill(void if wanted.ndim == 3 else void[:, None], index))
        known = ~void
        if not known.any():
            return (logits.masked_fill(void[:, None], 0)).sum()
        if not self._is_mean_of_images(logits.shape[1]):
            return self.value(_row(logits, known), _row(planes, known))
        values = [
            self.value(_row(logits[i : i + 1], known[i : i + 1]), _row(planes[i : i + 1], known[i : i + 1])) * count
            for i, count in enumerate(known.flatten(1).sum(1).tolist())
            if count
        ]
        return torch.stack(values).sum() / known.sum()

    def _is_mean_of_images(self, classes: int) -> bool:
        """Whether its value for a batch is the mean of its values for the images, as is tried once."""
        if classes not in self._tried:
            generator = torch.Generator().manual_seed(0)
            logits = torch.randn(2, classes, 1, 32, generator=generator)
            labels = torch.randint(classes, (2, 1, 1, 32), generator=generator) // torch.tensor([1, 2]).view(2, 1, 1, 1)
            planes = (labels == torch.arange(classes).view(1, -1, 1, 1)).float()
            whole = self.value(logits, planes)
            parts = [self.value(logits[i : i + 1], planes[i : i + 1]) for i in range(2)]
            self._tried[classes] = torch.allclose(whole, torch.stack(parts).mean(), rtol=1e-4)
        return self._tried[classes]

    @property
    def output(self) -> Output:
        """What it makes of logits, as the spec says."""
        return "softmax" if self.spec["predicts"] == "softmax" else "sigmoid"

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return self._scalar(*self._adapted(logits, target))

    def probabilities(self, logits: Tensor) -> Tensor:
        """`[N, C, H, W]` logits → probabilities of the same shape, by the activation that the loss applies."""
        logits = at_least_float32(logits)
        if self.spec["predicts"] == "sigmoid":
            return logits.sigmoid()
        return with_background(logits).softmax(1)[:, 1:] if self._background else logits.softmax(1)

    @property
    def _background(self) -> bool:
        return bool(self.spec["background"]) and not self.exclusive

    def _adapted(self, logits: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and planes `[N, C, H, W]`, without unknown pixels, as the loss wants them."""
        predicted = with_background(logits) if self._background else logits
        if self.spec["takes"] == "probabilities":
            predicted = predicted.sigmoid() if self.spec["predicts"] == "sigmoid" else predicted.softmax(1)
        if self.spec["target"] == "planes":
            return predicted, planes
        indices = class_indices(planes) if self._background else planes.argmax(1)  # [N, H, W]
        if self.spec["target"] == "one_hot":
            return predicted, one_hot(indices, predicted.shape[1]).movedim(-1, 1).to(logits.dtype)
        # MONAI's classes that make planes of class numbers want a channel for them.
        return predicted, indices[:, None] if self.spec["options"].get("to_onehot_y") else indices

    def _scalar(self, predicted: Tensor, target: Tensor) -> Tensor:
        function = self.function
        if isinstance(function, nn.Module):
            function.to(predicted.device)
        value = function(predicted, target)
        if not isinstance(value, Tensor) or value.ndim:
            what = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            hint = "set `options.reduction: mean`" if "reduction" in self.spec["options"] else "make it one number"
            raise InputError(f"losses: {self.spec['kind']} gives {what} in place of a scalar; {hint}")
        return value


def _row(planes: Tensor, known: Tensor) -> Tensor:
    """`[N, C, H, W]` → the pixels that are known, `[N, H, W]`, as one row `[1, C, 1, K]`."""
    return planes.movedim(1, 0)[:, known][None, :, None]


def _tensor(value: Any, hint: Any) -> Any:
    """A list of numbers as a tensor, where the annotation speaks of tensors."""
    is_numbers = isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    return torch.tensor(value, dtype=torch.float32) if is_numbers and "Tensor" in str(hint) else value
