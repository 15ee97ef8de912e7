"""The images of every split become tensors, and extract.json accounts for each of them: kept, or left out for a reason.

All kinds of data sets are written here; a kind says which images there are and what each is like.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, NonNegativeInt
from tqdm import tqdm

from losslab.data.tensors import BACKGROUND, VOID, Array, Frame, Writer
from losslab.errors import InputError
from losslab.results.files import write_json
from losslab.settings.schema import Count, Section

Extracted = tuple[str | int, tuple[Array, Array] | str]
"""An image's id, and its pixels `[3, H, W]` and masks `[C, H, W]` or labels `[H, W]`, or the reason why there are
none."""

SIDES = (8, 4096)
"""The shortest and the longest side that images are made, in pixels."""
ALL_VOID = "all_void"
"""The reason of an image in which nothing is known: it is readable, and of no use."""


def _image_size(size: Any) -> Any:
    sides = size if isinstance(size, list | tuple) else [size, size]
    if len(sides) != 2 or any(type(side) is not int or not SIDES[0] <= side <= SIDES[1] for side in sides):
        raise ValueError("neither a side nor [height, width], each of {} to {} pixels".format(*SIDES))
    return size


class FileOptions(Section):
    """How image files become tensors, whatever the masks are."""

    image_size: Annotated[int | tuple[int, int], BeforeValidator(_image_size)]
    """Pixels: the side of a square, or height and width, that every image is fitted into, whatever its size."""
    fit: Literal["stretch", "pad"] = "stretch"
    """Whether images are stretched to that size, or keep their shape and are padded; padding is void."""
    max_unreadable: NonNegativeInt = 10
    """Images that may be missing, damaged or at odds with their masks; they are left out and listed."""
    max_duplicates: NonNegativeInt = 0
    """Images of one split that may be in another too, pixel for pixel; they are listed, and more are an error: to be
    tested on what one was trained on tells nothing."""
    workers: Count | None = None
    """Processes; none: one for each processor. The result is the same."""

    @property
    def frame(self) -> Frame:
        """What images are fitted into."""
        height, width = (self.image_size,) * 2 if isinstance(self.image_size, int) else self.image_size
        return Frame(height, width, self.fit == "pad")


@dataclass(frozen=True)
class SplitImages:
    """One split of a data set.

    Args:
        source: the source's name of the split.
        images: each image, read once.
        left_out: reason → how many images of the source are not among `images`.
        account: what else extract.json says of the split; as `left_out`, looked at when all images have been read.
    """

    source: str
    images: Iterable[Extracted]
    left_out: Mapping[str, int] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)


def write_splits(
    out: Path,
    dataset: str,
    classes: Sequence[str],
    splits: Mapping[str, SplitImages],
    account: Mapping[str, Any],
    options: FileOptions | None = None,
) -> None:
    """Fill `out` with the tensors of every split and extract.json.

    An image in which nothing is known is left out and counted. extract.json has, for each split and class, in how many
    images it is and its share of the pixels that are known; a class that a split lacks is said.

    Args:
        out: an empty folder.
        dataset: what the metadata of the tensors call the data set.
        classes: names of the planes.
        splits: split → its images.
        account: what else extract.json says; looked at when all images have been read.
        options: how image files became these; those that have a reason in place of pixels are listed. None: they are of
            no files of their own, so every one is readable, and any number may be in two splits, which is said.

    Raises:
        InputError: too many images are unreadable, too many are in two splits, no image of a split is left, or the
            images for training or for validation show nothing of any class.
    """
    most = options.max_unreadable if options else 0
    unreadable: list[dict[str, Any]] = []
    accounts: dict[str, Any] = {}
    content = {name: Content.of(len(classes)) for name in splits}
    duplicates = Duplicates()
    padded = options is not None and options.fit == "pad"
    for name, split in splits.items():
        reasons: Counter[str] = Counter()
        path = out / f"{name}.safetensors"
        with Writer(path, dataset=dataset, classes=classes, source=split.source, padded=padded) as writer:
            for image_id, result in split.images:
                if not isinstance(result, str):
                    if (result[1] == VOID).all():
                        reasons[ALL_VOID] += 1
                        continue
                    writer.append(str(image_id), *result)
                    content[name].add(result[1])
                    duplicates.add(name, str(image_id), result[0])
                    continue
                reasons[result] += 1
                unreadable.append({"split": name, "id": image_id, "reason": result})
                if len(unreadable) > most:
                    listed = ", ".join("{split} {id} ({reason})".format(**entry) for entry in unreadable[:5])
                    raise InputError(f"more than extract.max_unreadable images cannot be read: {listed}")
            left_out = dict(Counter(split.left_out) + reasons)  # the sum is without counts of 0
            if not writer.ids:
                raise InputError(f"no image of {name} is left: {left_out}")
            shown = content[name].images[[each != BACKGROUND for each in classes]]
            if not shown.any() and name != "test":
                raise InputError(
                    f"none of the {len(writer.ids)} images of {name} shows anything of {', '.join(classes)}: every mask"
                    " is empty; see the data set's params"
                )
        accounts[name] = {"kept": len(writer.ids), "left_out": left_out, **split.account}
    duplicates.check(dataset, options.max_duplicates if options else None)
    listing: dict[str, Any] = {"unreadable": unreadable} if options else {}
    if duplicates.listed:
        listing["duplicates"] = duplicates.listed
    shares = {name: each.by_class(classes) for name, each in content.items()}
    absent = {split: [name for name in classes if not of[name]["images"]] for split, of in shares.items()}
    write_json(
        out / "extract.json", {**account, "splits": accounts, **listing, "classes": shares, "absent_classes": absent}
    )
    for name in absent.get("train", []):
        tqdm.write(f"{dataset}: {name}: in no training image, so that nothing can learn it")
    for name in absent.get("test", []):
        tqdm.write(f"{dataset}: {name}: in no test image, so that it is left out of every mean")


class Duplicates:
    """Images that are in two splits, by a digest of their pixels as they were extracted."""

    def __init__(self) -> None:
        self.first: dict[bytes, tuple[str, str]] = {}
        self.listed: list[dict[str, str]] = []

    def add(self, split: str, image_id: str, image: Array) -> None:
        """Look whether an earlier split has this image `[3, H, W]`, too."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        other, its_id = self.first.setdefault(digest, (split, image_id))
        if other != split:
            self.listed.append({"split": split, "id": image_id, "same_as": f"{other} {its_id}"})

    def check(self, dataset: str, most: int | None) -> None:
        """Say if there are any.

        Raises:
            InputError: there are more than `most`.
        """
        if not self.listed:
            return
        examples = ", ".join("{split} {id} is {same_as}".format(**entry) for entry in self.listed[:5])
        count = len(self.listed)
        if most is not None and count > most:
            raise InputError(
                f"{dataset}: {count} image{'s are' if count > 1 else ' is'} in two splits, more than"
                f" extract.max_duplicates ({most}): {examples}; a loss that learns them by heart would seem the best:"
                " take them out of one split, or allow them"
            )
        tqdm.write(f"{dataset}: {count} in two splits: {examples}")


@dataclass
class Content:
    """What the truth of a split shows: for each class `[C]` its images, its pixels, and the pixels that are known."""

    images: NDArray[np.int64]
    pixels: NDArray[np.int64]
    known: NDArray[np.int64]

    @classmethod
    def of(cls, classes: int) -> "Content":
        """Of nothing yet."""
        return cls(*np.zeros((3, classes), np.int64))

    def add(self, truth: Array) -> None:
        """Count one image's masks `[C, H, W]` or labels `[H, W]`."""
        if truth.ndim == 2:
            pixels = np.bincount(truth.ravel(), minlength=VOID + 1)[: len(self.pixels)]
        else:
            pixels = (truth == 1).sum(axis=(1, 2))
        self.images += pixels > 0
        self.pixels += pixels
        self.known += (truth != VOID).sum(axis=(-2, -1))

    def by_class(self, classes: Sequence[str]) -> dict[str, dict[str, float]]:
        """Class → `images`, and `share` of the pixels that are known."""
        shares = np.round(self.pixels / np.maximum(self.known, 1), 6)
        return {
            name: {"images": images, "share": share}
            for name, images, share in zip(classes, self.images.tolist(), shares.tolist(), strict=True)
        }
