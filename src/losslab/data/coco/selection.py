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


class Outline(Struct):
    """An annotation that is drawn: an object, or a crowd, of which nobody outlined the single objects."""

    category: str
    segmentation: Raw
    crowd: bool


class Selected(Struct, omit_defaults=True):
    """One image with what is drawn of it."""

    id: int
    file: str  # below the raw folder
    width: int
    height: int
    outlines: list[Outline]
    ignored: dict[str, int]  # reason → how many of its annotations are not drawn
    lacking: str = ""  # why its source did not give it, if it did not

    @property
    def annotations(self) -> int:
        """How many the source has of this image."""
        return len(self.outlines) + sum(self.ignored.values())


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
    instances: Literal["only_annotation", "one_of_class", "all"]
    """An image qualifies with exactly one annotation, of a wanted class; with exactly one object of the wanted classes,
    whatever else it shows; or with any, all of which are drawn. A crowd is an annotation, but never the object: with
    `only_annotation` an object beside a crowd does not qualify, with `one_of_class` it does, and a crowd alone
    qualifies with none. With `all` a crowd of a wanted class is void there, where no object of the class is."""
    min_box: NonNegative = 0
    """Pixels; of the object's box in the original image; with `all`, of the largest object's."""
    min_box_side: Literal["longer", "both"] = "longer"


@dataclass(frozen=True)
class Verdicts:
    """One file's images judged."""

    reasons: NDArray[np.str_]  # [I], empty where the image qualifies
    drawn: NDArray[np.bool_]  # [A], whether the annotation is drawn where its image qualifies


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
    boxes = np.vstack([file.boxes, np.zeros((1, 4))])  # the zeros are of an image without an object
    (left, top, width, height), (across, down) = boxes.T, np.vstack([file.sizes[file.images], [1, 1]]).T
    side = np.maximum(width, height) if rules.min_box_side == "longer" else np.minimum(width, height)
    outside = (left >= across) | (top >= down) | (left + width <= 0) | (top + height <= 0)
    bad = ~(np.isfinite(boxes).all(axis=1) & (width > 0) & (height > 0))
    # By its largest object whose box is right: of several indices that are put in one place, the last stays.
    by_size = np.argsort(np.where(bad | outside, -1, side)[:-1], kind="stable")
    by_size = by_size[eligible[by_size]]
    chosen = np.full(len(file.image_ids), -1)
    chosen[file.images[by_size]] = by_size
    reasons = [
        ("no_annotation", annotations == 0),
        ("several_annotations", (annotations > 1) & (rules.instances == "only_annotation")),
        ("other_class", of_class == 0),
        ("crowd", objects == 0),
        ("several_objects", (objects > 1) & (rules.instances == "one_of_class")),
        ("bad_box", bad[chosen]),
        ("box_outside_image", outside[chosen]),
        ("small_box", side[chosen] < rules.min_box),
    ]
    names, conditions = zip(*reasons, strict=True)
    drawn = wanted
    if rules.instances != "all":
        drawn = np.zeros_like(wanted)
        drawn[chosen[chosen >= 0]] = True
    return Verdicts(np.select(conditions, [np.array(name) for name in names], np.array("")), drawn)


def selected(file: Annotations, verdicts: Verdicts, indices: NDArray[np.int64], folder: str) -> list[Selected]:
    """The records of the images at `indices`.

    Raises:
        InputError: an outline that is neither polygons nor an RLE.
    """
    annotations: dict[int, list[int]] = {int(index): [] for index in indices}
    for annotation in np.flatnonzero(np.isin(file.images, indices)).tolist():
        annotations[int(file.images[annotation])].append(annotation)

    def outlines(index: int) -> list[Outline]:
        return [
            Outline(file.names[file.categories[a]], file.segmentation(a), bool(file.crowd[a]))
            for a in annotations[index]
            if verdicts.drawn[a]
        ]

    def ignored(index: int) -> dict[str, int]:
        others = [a for a in annotations[index] if not verdicts.drawn[a]]
        return dict(Counter("crowd" if file.crowd[a] else "other_class" for a in others))

    return [
        Selected(
            id=int(file.image_ids[index]),
            file=f"images/{folder}/{file.file_names[index]}",
            width=int(file.sizes[index, 0]),
            height=int(file.sizes[index, 1]),
            outlines=outlines(index),
            ignored=ignored(index),
        )
        for index in indices.tolist()
    ]


def left_out(
    file: Annotations, reasons: NDArray[np.str_], images: NDArray[Any]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many of `images`, and of their annotations, are left out for each reason."""
    per_image = np.bincount(file.images, minlength=len(file.image_ids))
    pictures: Counter[str] = Counter(reasons[images].tolist())
    outlines = {name: int(per_image[images][reasons[images] == name].sum()) for name in pictures}
    return dict(pictures), {name: count for name, count in outlines.items() if count}
