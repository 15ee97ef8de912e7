"""Data sets of Label Studio: the file that it exports as "JSON", with polygons and brush strokes, and the images.

An image's file is found by the end of its path in the task, with or without the eight digits that Label Studio puts
before the name of what is uploaded. A task without a submitted annotation is left out; one with an annotation in which
nothing is drawn shows nothing of any class. Planes may overlap.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from losslab.data.dataset import Dataset
from losslab.data.exports.label_studio.extraction import Job, extract
from losslab.data.exports.label_studio.tasks import images_of, read_export
from losslab.data.extraction import Extracted, FileOptions, SplitImages, write_splits
from losslab.data.sources.archives import open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.splits import Draws, read_selection, write_selection
from losslab.data.workers import Workers
from losslab.errors import InputError, did_you_mean


class Download(Draws):
    """Where the data set is, and how its images are drawn for the splits."""

    annotations: str
    """The file of the export "JSON", or its URL."""
    annotations_sha256: str | None = None
    images: str
    """A folder, a zip or tar archive, or the URL of an archive, with the images."""
    images_sha256: str | None = None


class Extract(FileOptions):
    """How images and regions become tensors."""

    classes: tuple[str, ...] | None = None
    """The labels that become planes, in this order; none: all, by name."""


class SplitSelection(msgspec.Struct):
    """What one split gets: names of images, and the number of the task of each; `left_out` counts tasks by reason."""

    images: list[str]
    tasks: list[int]
    left_out: dict[str, int]


class Selection(msgspec.Struct):
    """The content of selection.json."""

    annotations: str
    labels: list[str]
    source_images: int
    several_annotations: int
    other_regions: dict[str, int]
    splits: dict[str, SplitSelection]


class LabelStudio(Dataset):
    """Images with polygons and brush strokes, a plane for each label."""

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        options = self.download
        with Downloads.open() as downloads:
            export = read_export(downloads.file(options.annotations, options.annotations_sha256), options.annotations)
            files = open_files(downloads.file(options.images, options.images_sha256), options.images)
            images = images_of(export.tasks, files.names(), options.images)
            splits, wanted = {}, []
            for split, (_, chosen, over) in options.draw({"train": np.arange(len(images))}).items():
                if not len(chosen):
                    raise InputError(f"{options.annotations}: no image is left for {split}; see download.*")
                left_out = ({"not_drawn": len(over)} if len(over) else {}) | (
                    export.left_out if split == "train" else {}
                )
                tasks = [export.tasks[index] for index in chosen]
                names = [images[index] for index in chosen]
                splits[split] = SplitSelection(names, [task.number for task in tasks], left_out)
                wanted += names
                (raw / "regions").mkdir(exist_ok=True)
                for task in tasks:
                    (raw / "regions" / f"{task.number}.json").write_bytes(msgspec.json.encode(task.regions))
            # Images that are missing are told by the extraction, one by one.
            files.copy({name: raw / "images" / name for name in wanted})
        count = len(export.tasks) + sum(export.left_out.values())
        seen = count, export.several_annotations, export.other_regions
        write_selection(raw, Selection(options.annotations, export.labels, *seen, splits))

    def write_tensors(self, raw: Path, out: Path) -> None:
        options, selection = self.extract, read_selection(raw, Selection)
        classes = options.classes or tuple(selection.labels)
        for name in classes:
            if name not in selection.labels:
                raise InputError(
                    f"{selection.annotations}: nothing has the label {name!r}; {did_you_mean(name, selection.labels)}"
                )
        count = sum(len(split.images) for split in selection.splits.values())
        with Workers(extract, options.workers, count) as workers:

            def images(split: SplitSelection) -> Iterator[Extracted]:
                pairs = zip(split.images, split.tasks, strict=True)
                jobs = [Job(raw, image, task, classes, options.frame) for image, task in pairs]
                for job, result in zip(jobs, workers.map(jobs), strict=True):
                    yield job.image, result

            splits = {
                name: SplitImages("train", images(split), split.left_out) for name, split in selection.splits.items()
            }
            account = {
                "source_images": selection.source_images,
                "several_annotations": selection.several_annotations,
                "other_regions": selection.other_regions,
                "other_labels": [name for name in selection.labels if name not in classes],
            }
            write_splits(out, "Label Studio", classes, splits, account, options)
