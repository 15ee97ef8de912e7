"""Data sets in YOLO's segmentation format: `data.yaml`, images, and for each image a text file of polygons.

`data.yaml` has the names of the classes, and for each split where its images are. The polygons of `images/…/a.jpg` are
in `labels/…/a.txt`; an image without such a file shows nothing of any class. Planes may overlap.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from losslab.data.dataset import Dataset
from losslab.data.exports.yolo.description import Labelled, read_description
from losslab.data.exports.yolo.extraction import Job, extract
from losslab.data.extraction import Extracted, FileOptions, SplitImages, write_splits
from losslab.data.sources.archives import open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.splits import SPLITS, Draws, read_selection, write_selection
from losslab.data.workers import Workers
from losslab.errors import InputError


class Download(Draws):
    """Where the data set is. A split that it has not is drawn from its training images, by the seed."""

    source: str
    """A folder, a zip or tar archive, or the URL of an archive."""
    sha256: str | None = None
    description: str = "data.yaml"
    """The name in there of the file that names classes and splits."""


class SplitSelection(msgspec.Struct):
    """What one split gets; `left_out` counts by reason."""

    source: str
    images: list[Labelled]
    left_out: dict[str, int]


class Selection(msgspec.Struct):
    """The content of selection.json."""

    classes: tuple[str, ...]
    source_images: int
    without_labels: int
    splits: dict[str, SplitSelection]


class Yolo(Dataset):
    """Images with polygons, a plane for each class."""

    download: Download
    extract: FileOptions

    def fetch(self, raw: Path) -> None:
        options = self.download
        with Downloads.open() as downloads:
            files = open_files(downloads.file(options.source, options.sha256), options.source)
            classes, images = read_description(files, options.description)
            qualifying = {split: np.arange(len(images[split]), dtype=np.int64) for split in SPLITS if split in images}
            splits = {}
            for split, (origin, chosen, over) in options.draw(qualifying).items():
                if not len(chosen):
                    raise InputError(f"{files.location}: no image is left for {split}; see download.*")
                left_out = {"not_drawn": len(over)} if len(over) else {}
                splits[split] = SplitSelection(origin, [images[origin][index] for index in chosen], left_out)
            wanted = [image for split in splits.values() for image in split.images]
            targets = {image.image: raw / "images" / image.image for image in wanted}
            files.copy(targets | {image.labels: raw / "labels" / image.labels for image in wanted if image.labels})
        every = [image for of_split in images.values() for image in of_split]
        without = sum(not image.labels for image in every)
        write_selection(raw, Selection(classes, len(every), without, splits))

    def write_tensors(self, raw: Path, out: Path) -> None:
        options, selection = self.extract, read_selection(raw, Selection)
        count = sum(len(split.images) for split in selection.splits.values())
        with Workers(extract, options.workers, count) as workers:

            def images(split: SplitSelection) -> Iterator[Extracted]:
                jobs = [Job(raw, image, selection.classes, options.frame) for image in split.images]
                for job, result in zip(jobs, workers.map(jobs), strict=True):
                    yield job.image.image, result

            splits = {
                name: SplitImages(split.source, images(split), split.left_out)
                for name, split in selection.splits.items()
            }
            account = {"source_images": selection.source_images, "images_without_labels": selection.without_labels}
            write_splits(out, "YOLO", selection.classes, splits, account, options)
