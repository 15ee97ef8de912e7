"""The tensor store: images and truth of one split in one safetensors file.

`images` uint8 `[N, 3, H, W]` RGB and `masks` uint8 `[N, C, H, W]` of 0, 1 and 255, which is void: unknown, never
trained on and never scored. Planes may overlap. Where classes exclude each other, `labels` uint8 `[N, H, W]`, the class
of each pixel or 255, stands in place of `masks`. One metadata key `losslab`: JSON with `dataset`, `classes`,
`exclusive`, `ids`, `source`, and `padded` where images were padded to their size rather than stretched. Written in a
stream, so that a set larger than memory can be; read by memory-mapping, so that opening costs nothing. The bytes depend
on nothing but the content.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from losslab.errors import InputError
from losslab.results.files import atomic_file

Array = NDArray[np.uint8]


VOID = 255
"""What is unknown: in masks each plane for itself, in labels the pixel."""

BACKGROUND = "background"
"""What the class is called that has all that is of no other, where classes exclude each other."""


class Frame(NamedTuple):
    """What images are fitted into, in pixels.

    Args:
        pad: keep the shape of the image and centre it; else it is stretched. What is added around it is void, and shows
            the colours of its edge.
    """

    height: int
    width: int
    pad: bool = False

    @classmethod
    def of(cls, frame: Self | int) -> "Frame":
        """The frame; a number is the side of a square to stretch to."""
        return Frame(frame, frame) if isinstance(frame, int) else frame

    def content(self, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns that an image of this size gets."""
        if not self.pad:
            return slice(0, self.height), slice(0, self.width)
        scale = min(self.height / height, self.width / width)
        sides = []
        for side, room in ((height, self.height), (width, self.width)):
            own = min(max(round(scale * side), 1), room)
            sides.append(slice((room - own) // 2, (room - own) // 2 + own))
        return sides[0], sides[1]


@dataclass(frozen=True)
class Split:
    """One split: `images` `[N, 3, H, W]`, `truth` (masks `[N, C, H, W]`, or labels `[N, H, W]` where classes exclude
    each other), and what the metadata says."""

    images: Array
    truth: Array
    dataset: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    source: str
    padded: bool = False
    """Whether images were padded to their size; else they were stretched."""

    @property
    def exclusive(self) -> bool:
        """Whether every known pixel has exactly one of the classes."""
        return self.truth.ndim == 3

    @property
    def masks(self) -> Array:
        """Masks `[N, C, H, W]` of 0, 1 and 255; made anew of labels."""
        return self.masks_of(slice(None))

    def masks_of(self, images: Any) -> Array:
        """Masks of some images, given as an array is indexed."""
        return planes(self.truth[images], len(self.classes)) if self.exclusive else self.truth[images]

    def drawn(self, number: int | None, seed: int) -> "Split":
        """So many of the images, in their order, drawn by a seed and held in memory; all where there are no more."""
        count = len(self.images)
        chosen = np.sort(np.random.default_rng(seed).permutation(count)[:number])
        ids = tuple(self.ids[index] for index in chosen)
        return replace(self, images=self.images[chosen], truth=self.truth[chosen], ids=ids)

    @cached_property
    def pixels(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels of each class in each image, and how many are known: two of `[N, C]`.

        Raises:
            InputError: a value is neither of a class nor 255.
        """
        classes, area = len(self.classes), math.prod(self.images.shape[2:])
        ones, known = np.empty((2, len(self.truth), classes), np.int64)
        for index, truth in enumerate(self.truth):
            if self.exclusive:
                counts = np.bincount(truth.ravel(), minlength=VOID + 1)
                ones[index], known[index] = counts[:classes], area - counts[VOID]
                foreign = area - counts[:classes].sum() - counts[VOID]
            else:
                ones[index], void = (truth == 1).sum(axis=(1, 2)), (truth == VOID).sum(axis=(1, 2))
                known[index] = area - void
                foreign = (truth > 1).sum() - void.sum()
            if foreign:
                what = f"labels other than 0 to {classes - 1}" if self.exclusive else "masks other than of 0, 1"
                raise InputError(f"{self.dataset}: image {self.ids[index]} has {what} and {VOID}, which is unknown")
        return ones, known

    @cached_property
    def has_void(self) -> bool:
        """Whether anything is unknown.

        Raises:
            InputError: as `pixels`.
        """
        return bool((self.pixels[1] < math.prod(self.images.shape[2:])).any())


def planes(labels: Array, classes: int) -> Array:
    """Labels `[..., H, W]` → masks `[..., C, H, W]` of 0, 1 and, in every plane of an unknown pixel, 255."""
    numbers = np.arange(classes)[:, None, None]
    masks: Array = (labels[..., None, :, :] == numbers).view(np.uint8)
    masks[np.broadcast_to(labels[..., None, :, :] == VOID, masks.shape)] = VOID
    return masks


class Writer:
    """Append images and their truth one at a time; the file appears, whole, when the `with` block ends well."""

    def __init__(self, path: Path, *, dataset: str, classes: Sequence[str], source: str, padded: bool = False) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {"dataset": dataset, "classes": list(classes), "source": source}
        if padded:
            self.metadata["padded"] = True
        self.ids: list[str] = []
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        self._images = self._open.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
        self._truth = self._open.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
        return self

    def append(self, image_id: str, image: Array, truth: Array) -> None:
        """Add one image `[3, H, W]` and its masks `[C, H, W]`, or its labels `[H, W]`; uint8, all of one size."""
        shapes = (image.shape, truth.shape)
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes or image.dtype != np.uint8 or truth.dtype != np.uint8:
            raise ValueError(f"{image_id}: {shapes} {image.dtype} {truth.dtype}, not uint8 {self.shapes} as before")
        highest = 1 if truth.ndim == 3 else len(self.metadata["classes"]) - 1
        if ((truth > highest) & (truth != VOID)).any():
            raise ValueError(f"{image_id}: has values other than 0 to {highest} and {VOID}")
        self.ids.append(image_id)
        self._images.write(np.ascontiguousarray(image).data)
        self._truth.write(np.ascontiguousarray(truth).data)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            if kind is None:
                self._assemble()

    def _assemble(self) -> None:
        if self.shapes is None:
            raise InputError(f"{self.path}: no image was selected for this split; see the data set's params")
        with atomic_file(self.path) as whole, whole.open("wb") as file:
            file.write(self._header())
            for part in (self._images, self._truth):
                part.seek(0)
                shutil.copyfileobj(part, file, 1 << 20)

    def _header(self) -> bytes:
        images, truth = self.shapes or ((), ())
        exclusive = len(truth) == 2
        metadata = self.metadata | {"exclusive": exclusive, "ids": self.ids}
        header: dict[str, Any] = {"__metadata__": {"losslab": json.dumps(metadata, sort_keys=True)}}
        start = 0
        for name, shape in (("images", images), ("labels" if exclusive else "masks", truth)):
            full = [len(self.ids), *shape]
            end = start + int(np.prod(full))
            header[name] = {"dtype": "U8", "shape": full, "data_offsets": [start, end]}
            start = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


def read(path: Path) -> Split:
    """Open a split; images and truth are memory-mapped, private copies on write.

    Raises:
        InputError: the file is missing, cut short, or not a tensor store.
    """
    try:
        with path.open("rb") as file:
            header, start = _read_header(file)
        metadata = json.loads(header["__metadata__"]["losslab"])
        exclusive = "labels" in header
        images, truth = (_map(path, header[name], start) for name in ("images", "labels" if exclusive else "masks"))
        split = Split(
            images,
            truth,
            dataset=metadata["dataset"],
            classes=tuple(metadata["classes"]),
            ids=tuple(metadata["ids"]),
            source=metadata["source"],
            padded=metadata.get("padded", False),
        )
        if not isinstance(split.padded, bool) or metadata.get("exclusive", exclusive) is not exclusive:
            raise TypeError("`exclusive` or `padded` is not what the tensors are")
        if not all(isinstance(text, str) for text in (split.dataset, split.source, *split.classes, *split.ids)):
            raise TypeError("names are not text")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None
    if not (
        images.ndim == 4
        and images.shape[1] == 3
        and len(images) == len(split.ids)
        and truth.shape == (len(images), *(() if exclusive else (len(split.classes),)), *images.shape[2:])
        and not (exclusive and len(split.classes) > VOID)
    ):
        raise InputError(f"{path}: damaged (shapes do not agree); remove it and run `dvc repro`")
    return split


def spread(split: Split, count: int) -> list[int]:
    """Indices of `count` images evenly spaced in the order of their share of foreground."""
    foreground = np.array([name != BACKGROUND for name in split.classes])
    if split.exclusive:  # no pixel is of two classes
        share = split.pixels[0][:, foreground].sum(axis=1) / math.prod(split.images.shape[2:])
    else:
        share = (split.truth == 1).any(axis=1).mean(axis=(1, 2))
    order = np.argsort(share, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(index) for index in order[places]]


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 0 < length <= size - 8:
        raise ValueError("the header is cut short")
    return json.loads(file.read(length)), 8 + length


def _map(path: Path, entry: dict[str, Any], start: int) -> Array:
    (begin, end), shape = entry["data_offsets"], tuple(entry["shape"])
    if entry["dtype"] != "U8" or min(begin, *shape) < 0 or not 0 < math.prod(shape) == end - begin:
        raise ValueError("a tensor is not what its header says")
    return np.memmap(path, np.uint8, mode="c", offset=start + begin, shape=shape)
