"""The tensor store: images and masks of one split in one safetensors file.

`images` uint8 `[N, 3, H, W]` RGB, `masks` uint8 `[N, C, H, W]` of 0 and 1 (planes may overlap), and one metadata key
`losslab`: JSON with `dataset`, `classes`, `ids`, `source`. Written in a stream, so that a set larger than memory can
be; read by memory-mapping, so that opening costs nothing. The bytes depend on nothing but the content.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from losslab.errors import InputError
from losslab.results.files import atomic_file

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """One split: `images` `[N, 3, H, W]`, `masks` `[N, C, H, W]`, and what the metadata says."""

    images: Array
    masks: Array
    dataset: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    source: str


class Writer:
    """Append images and masks one at a time; the file appears, whole, when the `with` block ends well."""

    def __init__(self, path: Path, *, dataset: str, classes: Sequence[str], source: str) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {"dataset": dataset, "classes": list(classes), "source": source}
        self.ids: list[str] = []
        self.shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        self._images = self._open.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
        self._masks = self._open.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
        return self

    def append(self, image_id: str, image: Array, mask: Array) -> None:
        """Add one image `[3, H, W]` and its mask `[C, H, W]` of 0 and 1, both uint8, all of one size."""
        shapes = (image.shape, mask.shape)
        if self.shapes is None:
            self.shapes = shapes
        if shapes != self.shapes or image.dtype != np.uint8 or mask.dtype != np.uint8:
            raise ValueError(f"{image_id}: {shapes} {image.dtype} {mask.dtype}, not uint8 {self.shapes} as before")
        self.ids.append(image_id)
        self._images.write(np.ascontiguousarray(image).data)
        self._masks.write(np.ascontiguousarray(mask).data)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            if kind is None:
                self._assemble()

    def _assemble(self) -> None:
        if self.shapes is None:
            raise InputError(f"{self.path}: no image was selected for this split; see the data set's params")
        with atomic_file(self.path) as whole, whole.open("wb") as file:
            file.write(self._header())
            for part in (self._images, self._masks):
                part.seek(0)
                shutil.copyfileobj(part, file, 1 << 20)

    def _header(self) -> bytes:
        header: dict[str, Any] = {
            "__metadata__": {"losslab": json.dumps(self.metadata | {"ids": self.ids}, sort_keys=True)}
        }
        start = 0
        for name, shape in zip(("images", "masks"), self.shapes or (), strict=True):
            full = [len(self.ids), *shape]
            end = start + int(np.prod(full))
            header[name] = {"dtype": "U8", "shape": full, "data_offsets": [start, end]}
            start = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


def read(path: Path) -> Split:
    """Open a split; images and masks are memory-mapped, private copies on write.

    Raises:
        InputError: the file is missing, cut short, or not a tensor store.
    """
    try:
        with path.open("rb") as file:
            header, start = _read_header(file)
        metadata = json.loads(header["__metadata__"]["losslab"])
        images, masks = (_map(path, header[name], start) for name in ("images", "masks"))
        split = Split(
            images,
            masks,
            dataset=metadata["dataset"],
            classes=tuple(metadata["classes"]),
            ids=tuple(metadata["ids"]),
            source=metadata["source"],
        )
        if not all(isinstance(text, str) for text in (split.dataset, split.source, *split.classes, *split.ids)):
            raise TypeError("names are not text")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None
    if not (
        images.ndim == masks.ndim == 4
        and images.shape[1] == 3
        and images.shape[0] == masks.shape[0] == len(split.ids)
        and images.shape[2:] == masks.shape[2:]
        and masks.shape[1] == len(split.classes)
    ):
        raise InputError(f"{path}: damaged (shapes do not agree); remove it and run `dvc repro`")
    return split


def spread(split: Split, count: int) -> list[int]:
    """Indices of `count` images evenly spaced in the order of their share of foreground."""
    share = split.masks.any(axis=1).mean(axis=(1, 2))
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
