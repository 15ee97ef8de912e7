"""An annotation file in COCO's format as NumPy columns, checked record by record.

The official file has 860,001 annotations in 448 MB. Outlines are most of it and are needed only where an image is
selected, so they stay undecoded; everything else is decoded into typed records and checked by whole columns.
"""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import NDArray

from losslab.data.sources.archives import safe_name
from losslab.errors import InputError, visible

T = TypeVar("T")

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class RLE(Struct):
    """Run lengths, column by column, of background and object in turn: a list, or COCO's compressed text."""

    size: tuple[int, int]  # height, width
    counts: list[int] | str


Segmentation = list[list[float]] | RLE | None
"""Polygons `[x0, y0, x1, y1, …]`, or an RLE."""


class _Image(Struct, gc=False):
    id: Id
    width: Side
    height: Side
    file_name: str


class _Annotation(Struct, gc=False):
    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]  # left, top, width, height
    segmentation: Raw = Raw(b"null")
    iscrowd: Annotated[int, Meta(ge=0, le=1)] = 0


class _Category(Struct):
    id: Id
    name: str


class _File(Struct):
    images: Raw
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclass(frozen=True)
class Annotations:
    """The columns of one file: I images, A annotations, C categories."""

    source: str
    image_ids: NDArray[np.int64]  # [I]
    sizes: NDArray[np.int64]  # [I, 2]: width, height
    file_names: list[str]  # [I]
    ids: NDArray[np.int64]  # [A]
    images: NDArray[np.int64]  # [A], index of the annotation's image
    categories: NDArray[np.int64]  # [A], index of its category
    boxes: NDArray[np.float64]  # [A, 4]
    crowd: NDArray[np.bool_]  # [A]
    names: list[str]  # [C]
    _image_records: Raw
    _segmentations: list[Raw]

    def records(self, indices: Iterable[int]) -> list[dict[str, Any]]:
        """Everything that the file says of some images."""
        raws = msgspec.json.decode(self._image_records, type=list[Raw])
        return [
            _decode(raws[index], dict[str, Any], f"{self.source}: image {self.image_ids[index]}") for index in indices
        ]

    def segmentation(self, index: int) -> Raw:
        """The JSON of one annotation's outline.

        Raises:
            InputError: it is neither polygons nor an RLE.
        """
        source = f"{self.source}: annotation {self.ids[index]}: segmentation"
        _decode(self._segmentations[index], Segmentation, source)
        return self._segmentations[index]


def read(text: bytes, source: str) -> Annotations:
    """Decode and check an annotation file; `source` is what error messages call it.

    Raises:
        InputError: broken JSON, a missing or mistyped key, a repeated id, an annotation whose image or category does
            not exist, a file name that leads out of its folder. The message names the record.
    """
    file = _decode(text.removeprefix(codecs.BOM_UTF8), _File, source)
    images = _decode(file.images, list[_Image], source, "$.images")
    annotations, categories = file.annotations, file.categories
    for index, image in enumerate(images):
        if not safe_name(image.file_name):
            raise InputError(f"{source}: $.images[{index}] (id {image.id}): unsafe file_name {image.file_name!r}")
    for index, category in enumerate(categories):
        if visible(category.name) != category.name:
            raise InputError(f"{source}: $.categories[{index}]: its name has control characters: {category.name!r}")
    image_ids = _ids(images, source, "images")
    ids = _ids(annotations, source, "annotations")
    category_ids = _ids(categories, source, "categories")
    return Annotations(
        source=source,
        image_ids=image_ids,
        sizes=_column(((image.width, image.height) for image in images), len(images), 2, np.int64),
        file_names=[image.file_name for image in images],
        ids=ids,
        images=_references((a.image_id for a in annotations), ids, image_ids, source, "image"),
        categories=_references((a.category_id for a in annotations), ids, category_ids, source, "category"),
        boxes=_column((a.bbox for a in annotations), len(annotations), 4, np.float64),
        crowd=np.fromiter((a.iscrowd for a in annotations), np.bool_, len(annotations)),
        names=[category.name for category in categories],
        _image_records=file.images,
        _segmentations=[a.segmentation for a in annotations],
    )


def _decode(text: bytes | Raw, kind: Any, source: str, place: str = "$") -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # a ValueError: a number too long to be read
        what = str(error).replace("`$", f"`{place}")
        raise InputError(f"{source}: {what}") from None


def _ids(records: list[Any], source: str, kind: str) -> NDArray[np.int64]:
    ids = np.fromiter((record.id for record in records), np.int64, len(records))
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise InputError(f"{source}: {kind}: id {unique[counts > 1][0]} is used {counts[counts > 1][0]} times")
    return ids


def _references(
    wanted: Iterable[int], owners: NDArray[np.int64], known: NDArray[np.int64], source: str, kind: str
) -> NDArray[np.int64]:
    """The index in `known` of each id in `wanted`."""
    places = {number: index for index, number in enumerate(known.tolist())}
    ids = list(wanted)
    indices = np.array([places.get(number, -1) for number in ids], np.int64)
    if (indices < 0).any():
        first = int(np.argmax(indices < 0))
        raise InputError(f"{source}: annotation {owners[first]}: there is no {kind} {ids[first]}")
    return indices


def _column(rows: Iterable[tuple[Any, ...]], length: int, width: int, kind: Any) -> NDArray[Any]:
    return np.fromiter((value for row in rows for value in row), kind, length * width).reshape(length, width)
