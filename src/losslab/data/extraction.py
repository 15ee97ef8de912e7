"""Images that have a mask file each: what a fetch selected of them, and how they become tensors."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from losslab.data.label_maps import Labels
from losslab.data.photos import Unusable, read_image, reduce_mask
from losslab.data.tensors import Array, Writer
from losslab.data.workers import Workers
from losslab.errors import InputError
from losslab.results.files import write_json


class Pair(msgspec.Struct):
    """One image and its mask, below the raw folder's `images` and `masks`."""

    image: str
    mask: str


class PairSplit(msgspec.Struct):
    """What one split gets; `left_out` counts by reason."""

    source: str
    pairs: list[Pair]
    left_out: dict[str, int]


class Pairs(msgspec.Struct):
    """The content of selection.json."""

    source_images: int
    source_masks: int
    splits: dict[str, PairSplit]

    def write(self, raw: Path) -> None:
        (raw / "selection.json").write_bytes(msgspec.json.encode(self))


def read_pairs(raw: Path) -> Pairs:
    """What the fetch selected.

    Raises:
        InputError: `raw` has no selection, or a damaged one.
    """
    path = raw / "selection.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pairs)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None


@dataclass(frozen=True)
class Recipe:
    """How pairs become tensors.

    Args:
        dataset: name of the data set.
        classes: names of the planes.
        labels: how a mask file gives the planes.
        image_size: side of images and masks, pixels.
        max_unreadable: pairs that may be damaged or disagree; they are left out and listed.
        workers: processes; none: one for each processor.
    """

    dataset: str
    classes: tuple[str, ...]
    labels: Labels
    image_size: int
    max_unreadable: int
    workers: int | None


def write_tensors(selection: Pairs, recipe: Recipe, raw: Path, out: Path) -> None:
    """Fill `out` with the tensors of every split and extract.json.

    The image is reduced with antialiasing, each plane of the mask by area: 1 where at least half of a small pixel is
    covered. An image whose mask is empty is kept.

    Raises:
        InputError: a mask has a label that nothing was said of, too many pairs are unreadable, or none is left.
    """
    unreadable: list[dict[str, str]] = []
    other: Counter[str] = Counter()
    splits = {}
    pairs = sum(len(split.pairs) for split in selection.splits.values())
    with Workers(_extract, recipe.workers, pairs) as workers:
        for name, split in selection.splits.items():
            reasons, kept = Counter(split.left_out), 0
            jobs = [_Job(raw, pair.image, pair.mask, recipe.labels, recipe.image_size) for pair in split.pairs]
            about: dict[str, Any] = {"dataset": recipe.dataset, "classes": recipe.classes, "source": split.source}
            with Writer(out / f"{name}.safetensors", **about) as writer:
                for pair, result in zip(split.pairs, workers.map(jobs), strict=True):
                    if isinstance(result, str):
                        reasons[result] += 1
                        unreadable.append({"split": name, "id": pair.image, "reason": result})
                        _bound(unreadable, recipe.max_unreadable)
                    else:
                        image, masks, labels = result
                        writer.append(pair.image, image, masks)
                        other.update(labels)
                        kept += 1
                if not kept:
                    raise InputError(f"no image of {name} is left: {dict(reasons)}")
            splits[name] = {"kept": kept, "left_out": dict(reasons)}
    write_json(
        out / "extract.json",
        {
            "source_images": selection.source_images,
            "source_masks": selection.source_masks,
            "splits": splits,
            "unreadable": unreadable,
            "background_pixels": dict(other),
        },
    )


class _Job(NamedTuple):
    raw: Path
    image: str
    mask: str
    labels: Labels
    size: int


def _extract(job: _Job) -> tuple[Array, Array, dict[str, int]] | str:
    """An image `[3, S, S]`, its masks `[C, S, S]` and its background labels → pixels at full size; or why not."""
    try:
        masks, other = job.labels.read(job.raw / "masks" / job.mask)
        _, height, width = masks.shape
        image = read_image(job.raw / "images" / job.image, width, height, job.size)
    except Unusable as reason:
        return str(reason)
    small = [reduce_mask(mask, job.size) for mask in masks]
    return image, np.stack(small), other


def _bound(unreadable: list[dict[str, str]], most: int) -> None:
    if len(unreadable) > most:
        listed = ", ".join(f"{entry['split']} {entry['id']} ({entry['reason']})" for entry in unreadable[:5])
        raise InputError(f"more than extract.max_unreadable images cannot be read: {listed}")
