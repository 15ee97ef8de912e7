"""Which images of an annotation file are wanted, in which split, and why the others are not.

All of it is by whole columns: the official 118,287 images take a moment. What is selected is kept in
`selection.json`, beside the images, so that extraction reads no annotation file.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray
from pydantic import Field

from losslab.data.coco.annotations import Annotations
from losslab.errors import InputError, did_you_mean
from losslab.settings.schema import NonNegative, Section


class Selected(Struct, omit_defaults=True):
    """One image with one object."""

    id: int
    file: str  # below the raw folder
    width: int
    height: int
    category: str
    segmentation: Raw
    annotations: int  # how many the image has, the object's own among them
    ignored: dict[str, int]  # reason → how many of these
    lacking: str = ""  # why its source did not give it, if it did not


class SplitSelection(Struct):
    """What one split gets; `left_out` and `annotations_left_out` count by reason."""

    source: str
    images: list[Selected]
    left_out: dict[str, int]
    annotations_left_out: dict[str, int]


class Selection(Struct):
    """The content of selection.json."""

    classes: tuple[str, ...]
    source_images: int
    source_annotations: int
    splits: dict[str, SplitSelection]


class Rules(Section):
    """Which images qualify."""

    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    instances: Literal["only_annotation", "one_of_class"]
    """An image qualifies with exactly one annotation, of a wanted class; or with exactly one object of the wanted
    classes, whatever else it shows. A crowd is an annotation, but never the object: with `only_annotation` an object
    beside a crowd does not qualify, with `one_of_class` it does, and a crowd alone qualifies with neither."""
    min_box: NonNegative = 0
    """Pixels; of the object's box in the original image."""
    min_box_side: Literal["longer", "both"] = "longer"


@dataclass(frozen=True)
class Verdicts:
    """One file's images judged."""

    reasons: NDArray[np.str_]  # [I], empty where the image qualifies
    objects: NDArray[np.int64]  # [I], index of the image's object; of no meaning where it does not qualify
    wanted: NDArray[np.bool_]  # [A], of a wanted class


def judge(file: Annotations, rules: Rules) -> Verdicts:
    """Why each image is left out, if it is: the first of the reasons that applies.

    Raises:
        InputError: a class that the file does not have.
    """
    for name in rules.classes:
        if name not in file.names:
            raise InputError(f"{file.source}: has no class '{name}'; {did_you_mean(name, file.names)}")
    wanted = np.isin(np.array(file.names, dtype=object), rules.classes)[file.categories]
    eligible = wanted & ~file.crowd

    def count(which: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(file.images[which], minlength=len(file.image_ids))

    annotations, of_class, objects = count(np.ones_like(wanted)), count(wanted), count(eligible)
    chosen = np.full(len(file.image_ids), -1)
    chosen[file.images[eligible]] = np.flatnonzero(eligible)
    boxes = np.vstack([file.boxes, np.zeros((1, 4))])[chosen]  # the zeros are for -1
    left, top, width, height = boxes.T
    side = np.maximum(width, height) if rules.min_box_side == "longer" else np.minimum(width, height)
    outside = (left >= file.sizes[:, 0]) | (top >= file.sizes[:, 1]) | (left + width <= 0) | (top + height <= 0)
    several = ("several_annotations", annotations > 1)
    if rules.instances == "one_of_class":
        several = ("several_objects", objects > 1)
    reasons = [
        ("no_annotation", annotations == 0),
        *([several] if rules.instances == "only_annotation" else []),
        ("other_class", of_class == 0),
        ("crowd", objects == 0),
        several,
        ("bad_box", ~(np.isfinite(boxes).all(axis=1) & (width > 0) & (height > 0))),
        ("box_outside_image", outside),
        ("small_box", side < rules.min_box),
    ]
    names, conditions = zip(*reasons, strict=True)
    return Verdicts(np.select(conditions, [np.array(name) for name in names], np.array("")), chosen, wanted)


def selected(file: Annotations, verdicts: Verdicts, indices: NDArray[np.int64], folder: str) -> list[Selected]:
    """The records of the images at `indices`.

    Raises:
        InputError: an outline that is neither polygons nor an RLE.
    """
    ignored = _ignored(file, verdicts, indices)
    return [
        Selected(
            id=int(file.image_ids[index]),
            file=f"images/{folder}/{file.file_names[index]}",
            width=int(file.sizes[index, 0]),
            height=int(file.sizes[index, 1]),
            category=file.names[file.categories[verdicts.objects[index]]],
            segmentation=file.segmentation(int(verdicts.objects[index])),
            annotations=1 + sum(ignored[int(index)].values()),
            ignored=ignored[int(index)],
        )
        for index in indices
    ]


def _ignored(file: Annotations, verdicts: Verdicts, indices: NDArray[np.int64]) -> dict[int, dict[str, int]]:
    """For each image, how many of its annotations are not its object, and why."""
    counts: dict[int, Counter[str]] = {int(index): Counter() for index in indices}
    others = np.isin(file.images, indices)
    others[verdicts.objects[indices]] = False
    for annotation in np.flatnonzero(others):
        reason = "crowd" if file.crowd[annotation] else "other_class"
        counts[int(file.images[annotation])][reason] += 1
    return {index: dict(count) for index, count in counts.items()}


def left_out(
    file: Annotations, reasons: NDArray[np.str_], images: NDArray[Any]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many of `images`, and of their annotations, are left out for each reason."""
    per_image = np.bincount(file.images, minlength=len(file.image_ids))
    pictures: Counter[str] = Counter(reasons[images].tolist())
    outlines = {name: int(per_image[images][reasons[images] == name].sum()) for name in pictures}
    return dict(pictures), {name: count for name, count in outlines.items() if count}
