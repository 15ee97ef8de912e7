"""Images that have a mask file each: what a fetch selected of them, and how they become tensors."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from losslab.data.extraction import Extracted, FileOptions, SplitImages, write_splits
from losslab.data.mask_files.label_maps import Labels
from losslab.data.photos import Unusable, read_image, reduce_labels
from losslab.data.splits import read_selection
from losslab.data.tensors import Array, Frame
from losslab.data.workers import Workers


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


def write_pairs(
    raw: Path, out: Path, dataset: str, classes: tuple[str, ...], labels: Labels, options: FileOptions
) -> None:
    """Fill `out` with the tensors of every split and extract.json.

    The image is reduced with antialiasing, its labels by area: a small pixel has the class that covers most of it. An
    image whose mask is empty is kept.

    Args:
        raw: the folder of images, masks and what was selected of them.
        out: an empty folder.
        dataset: name of the data set.
        classes: names of the labels' classes.
        labels: how mask files are read.
        options: the size, and how many pairs may be damaged or disagree.

    Raises:
        InputError: a mask has a label that nothing was said of, too many pairs are unreadable, or none is left.
    """
    selection = read_selection(raw, Pairs)
    void = {str(label) for label in labels.void}
    other: dict[str, Counter[str]] = {"background_pixels": Counter(), "void_pixels": Counter()}
    count = sum(len(split.pairs) for split in selection.splits.values())
    with Workers(_extract, options.workers, count) as workers:

        def images(pairs: list[Pair]) -> Iterator[Extracted]:
            jobs = [_Job(raw, pair.image, pair.mask, labels, options.frame) for pair in pairs]
            for pair, result in zip(pairs, workers.map(jobs), strict=True):
                if isinstance(result, str):
                    yield pair.image, result
                else:
                    image, truth, pixels = result
                    for label, number in pixels.items():
                        other["void_pixels" if label in void else "background_pixels"][label] += number
                    yield pair.image, (image, truth)

        splits = {
            name: SplitImages(split.source, images(split.pairs), split.left_out)
            for name, split in selection.splits.items()
        }
        account = {
            "source_images": selection.source_images,
            "source_masks": selection.source_masks,
            **{what: counts for what, counts in other.items() if labels.void or what == "background_pixels"},
        }
        write_splits(out, dataset, labels.names(classes), splits, account, options)


class _Job(NamedTuple):
    raw: Path
    image: str
    mask: str
    labels: Labels
    frame: Frame


def _extract(job: _Job) -> tuple[Array, Array, dict[str, int]] | str:
    """An image `[3, H, W]`, its masks `[1, H, W]` or labels `[H, W]`, and labels of no class → pixels at full size; or
    why not."""
    try:
        labels, other = job.labels.read(job.raw / "masks" / job.mask)
        height, width = labels.shape
        image = read_image(job.raw / "images" / job.image, width, height, job.frame)
    except Unusable as reason:
        return str(reason)
    small = reduce_labels(labels, job.frame)
    return image, small if job.labels.exclusive else small[None], other
