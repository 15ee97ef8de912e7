"""One mask file to labels: binary masks, label maps of ids (grey, or indices of a palette) or of colours."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator

from losslab.data.photos import Unusable, opened
from losslab.data.tensors import BACKGROUND, VOID, Array
from losslab.errors import InputError


def _known_form(value: int | str) -> int | str:
    right = re.fullmatch(r"nonzero|#[0-9a-f]{6}", value) if isinstance(value, str) else value >= 0
    if not right:
        raise ValueError('Input should be a number ≥ 0, "nonzero" or a colour such as "#80ff00"')
    return value


Label = Annotated[int | str, AfterValidator(_known_form)]
"""What a class looks like in a mask file: the number in a label map, a colour `"#rrggbb"`, or `nonzero`: all but
black, in masks of at most two colours."""


Form = Literal["nonzero", "number", "colour"]


@dataclass(frozen=True)
class Labels:
    """How mask files are read. Several labels exclude each other; what has none of them is then a class too,
    `background`, numbered 0.

    Args:
        classes: the label of each class, all of one form.
        background: labels of no class; `rest`: whatever has none.
        void: labels of what is unknown.
    """

    classes: Sequence[int | str]
    background: Sequence[int | str] | Literal["rest"]
    void: Sequence[int | str] = ()

    @property
    def exclusive(self) -> bool:
        """Whether the tensors hold labels; a mask otherwise."""
        return len(self.classes) > 1

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """The classes of the tensors, from the names of `classes`."""
        return (BACKGROUND, *names) if self.exclusive and self.background else tuple(names)

    def read(self, path: Path) -> tuple[Array, dict[str, int]]:
        """The number of each pixel's class, or 255, uint8 `[H, W]`: from 0 in the order of `names`; of a mask 1 for the
        class and 0 for none. Beside it label → pixels, of labels of no class.

        Raises:
            Unusable: there is no such file, it is no image, damaged, or of another form than the labels.
            InputError: it has a label that is neither of a class, nor background, nor void.
        """
        form = _form(self.classes[0])
        values = _values(path, form)
        if form == "nonzero":
            return (values > 0).astype(np.uint8), {}
        classes, void = ([_number(label) for label in labels] for labels in (self.classes, self.void))
        other = {value: count for value, count in _counts(values) if value not in classes}
        if self.background != "rest":
            for value in sorted(other.keys() - {_number(label) for label in self.background} - set(void)):
                raise InputError(
                    f"{path}: has the label {_name(value, form)} in {other[value]} of {values.size} pixels;"
                    " give it a class, or name it as background or void"
                )
        numbers = np.zeros(values.shape, np.uint8)
        for number, value in enumerate(classes, start=0 if self.exclusive and not self.background else 1):
            numbers[values == value] = number
        for value in void:
            numbers[values == value] = VOID
        return numbers, {_name(value, form): count for value, count in other.items()}


def forms(labels: Iterable[int | str]) -> set[Form]:
    """The forms that labels have."""
    return {_form(label) for label in labels}


def _form(label: int | str) -> Form:
    return "number" if isinstance(label, int) else "nonzero" if label == "nonzero" else "colour"


def _values(path: Path, form: Form) -> NDArray[Any]:
    """Labels `[H, W]`: numbers, colours as 0xrrggbb, or (`nonzero`) a brightness that is 0 for black alone."""
    with opened(path, "mask_") as image:
        return _numbers(image) if form == "number" else _brightness(image) if form == "nonzero" else _rgb(image)


def _numbers(image: Image.Image) -> NDArray[Any]:
    if image.mode in {"L", "P", "I", "I;16", "I;16B"}:
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    channels = np.asarray(image.convert("RGB"))
    if (channels != channels[..., :1]).any():
        raise Unusable("mask_in_colour")
    return channels[..., 0]


def _brightness(image: Image.Image) -> Array:
    values: Array = np.asarray(image) if image.mode == "L" else _of_colours(image, lambda rgb: rgb.max(axis=-1))
    if len(_counts(values)) > 2:
        raise Unusable("mask_not_binary")
    return values


def _rgb(image: Image.Image) -> NDArray[Any]:
    weights = np.array([1 << 16, 1 << 8, 1], np.uint32)
    return _of_colours(image, lambda rgb: (rgb * weights).sum(axis=-1, dtype=np.uint32))


def _of_colours(image: Image.Image, function: Callable[[Array], NDArray[Any]]) -> NDArray[Any]:
    """A function of RGB `[..., 3]` for each pixel; transparency does not count."""
    if image.mode.startswith(("I", "F")):
        raise Unusable("mask_of_numbers")
    if image.mode == "P":  # of each of at most 256 colours, not of each pixel
        palette = np.zeros((256, 3), np.uint8)
        colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette[: len(colours)] = colours
        values: NDArray[Any] = function(palette)[np.asarray(image)]
        return values
    return function(np.asarray(image.convert("RGB")))


def _counts(values: NDArray[Any]) -> list[tuple[int, int]]:
    """Each value of an image, and in how many pixels."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        unique = np.flatnonzero(counts)
        counts = counts[unique]
    else:
        unique, counts = np.unique(values, return_counts=True)
    return list(zip(unique.tolist(), counts.tolist(), strict=True))


def _number(label: int | str) -> int:
    return int(label[1:], 16) if isinstance(label, str) else label


def _name(value: int, form: Form) -> str:
    return f"#{value:06x}" if form == "colour" else str(value)
