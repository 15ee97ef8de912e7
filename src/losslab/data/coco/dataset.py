"""COCO, or any data set in COCO's format: images with outlined objects, one or all of each image, and their masks.

`fetch` reads the annotations, selects, and fetches only the selected images; `write_tensors` rasterises the outlines at
full size and reduces both image and mask. `extract.json` accounts for every image and every annotation of the source.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeInt, model_validator

from losslab.data.coco import annotations
from losslab.data.coco.extraction import VANISHED, Job, Result, extract
from losslab.data.coco.selection import Rules, Selection, SplitSelection, judge, left_out, selected
from losslab.data.coco.sources import annotation_text, bring_images
from losslab.data.dataset import Dataset
from losslab.data.extraction import Extracted, FileOptions, SplitImages, write_splits
from losslab.data.sources.downloads import Downloads
from losslab.data.splits import SPLITS, Draws, read_selection, write_selection
from losslab.data.workers import Workers
from losslab.errors import InputError
from losslab.settings.schema import invalid


class Download(Rules, Draws):
    """Where the data is, and which of it is wanted. `{split}` in a location stands for a split's name below."""

    annotations: str
    """URL, folder, zip or JSON file."""
    annotations_sha256: str | None = None
    annotations_file: str = "annotations/instances_{split}.json"
    """Where a folder or zip has the annotations of a split."""
    images: str
    """URL or path with fields of the image record in braces (`{file_name}`, `{coco_url}`, …), or a folder or zip."""
    train: str
    val: str | None = None
    """The source's name of the split; none: `val_share` of the training file's selected images, drawn by the seed."""
    test: str | None = None
    max_missing: NonNegativeInt = 10
    """Selected images of a split that the source may lack; they are left out and listed."""

    @model_validator(mode="after")
    def _splits_differ(self) -> "Download":
        names = [name for name in (self.train, self.val, self.test) if name is not None]
        for key, values in (("train, val, test", names), ("classes", list(self.classes))):
            if len(set(values)) < len(values):
                raise invalid(key, f"one name is given twice: {', '.join(values)}", values)
        return self


class Extract(FileOptions):
    """How images and outlines become tensors."""

    planes: Literal["binary", "per_class"]
    """One plane for whatever the object is, or one for each of `classes`."""


class Coco(Dataset):
    """Images with outlined objects, from a source in COCO's format."""

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        options = self.download
        with Downloads.open() as downloads:
            selection, records = self._select(downloads)
            for split, images in records.items():
                folder, targets = selection.splits[split].source, selection.splits[split].images
                pairs = [(raw / image.file, record) for image, record in zip(targets, images, strict=True)]
                lacking = bring_images(options.images, folder, pairs, downloads, options.max_missing)
                for image in targets:
                    image.lacking = lacking.get(raw / image.file, "")
        write_selection(raw, selection)

    def _select(self, downloads: Downloads) -> tuple[Selection, dict[str, list[dict[str, Any]]]]:
        """What is wanted, and for each split the whole records of its images."""
        options = self.download
        sources = {split: name for split in SPLITS if (name := getattr(options, split)) is not None}
        files = {}
        for split, name in sources.items():
            location, inside = (
                text.replace("{split}", name) for text in (options.annotations, options.annotations_file)
            )
            files[split] = annotations.read(*annotation_text(location, inside, options.annotations_sha256, downloads))
        origins: dict[str, str] = {}
        for split, file in files.items():
            if (other := origins.setdefault(file.source, split)) != split:
                raise InputError(
                    f"{file.source}: is read for {other} and for {split}; put {{split}} into download.annotations, or "
                    f"leave download.{split} out to have it drawn"
                )
        verdicts = {split: judge(file, options) for split, file in files.items()}
        drawn = options.draw({split: np.flatnonzero(verdict.reasons == "") for split, verdict in verdicts.items()})
        splits, records = {}, {}
        for split, (origin, chosen, over) in drawn.items():
            file, verdict = files[origin], verdicts[origin]
            # A drawn split's source is its training file: what does not qualify there is counted once, under train.
            unfit = np.flatnonzero(verdict.reasons != "") if origin == split else over[:0]
            reasons = verdict.reasons.copy()
            reasons[over] = "not_drawn"
            chosen = chosen[np.argsort(file.image_ids[chosen])]
            images = selected(file, verdict, chosen, sources[origin])
            splits[split] = SplitSelection(
                sources[origin], images, *left_out(file, reasons, np.concatenate([unfit, over]))
            )
            records[split] = file.records(chosen)
        total = sum((Counter(part.left_out) for part in splits.values()), Counter[str]())
        why = ", ".join(f"{reason}: {count}" for reason, count in total.most_common(4))
        for split in SPLITS:
            if not splits[split].images:
                raise InputError(f"no image is selected for {split}; images are left out for {why}; see download.*")
            shown = {o.category for image in splits[split].images for o in image.outlines if not o.crowd}
            if absent := [name for name in options.classes if name not in shown]:
                names = ", ".join(absent)
                print(f"no image selected for {split} shows {names}; images are left out for {why or 'nothing'}")
        return (
            Selection(
                options.classes,
                sum(len(file.image_ids) for file in files.values()),
                sum(len(file.ids) for file in files.values()),
                splits,
            ),
            records,
        )

    def write_tensors(self, raw: Path, out: Path) -> None:
        selection = read_selection(raw, Selection)
        classes = selection.classes
        planes = {"foreground": classes} if self.extract.planes == "binary" else {name: (name,) for name in classes}
        count = sum(len(split.images) for split in selection.splits.values())
        with Workers(extract, self.extract.workers, count) as workers:
            splits = {}
            for name, split in selection.splits.items():
                jobs = [Job(raw, image, tuple(planes.values()), self.extract.frame) for image in split.images]
                splits[name] = _split(split, classes, workers.map(jobs))
            account = {"source_images": selection.source_images, "source_annotations": selection.source_annotations}
            write_splits(out, "COCO", tuple(planes), splits, account, self.extract)


def _split(split: SplitSelection, classes: tuple[str, ...], results: Iterator[Result]) -> SplitImages:
    """One split's images; its annotations, and the classes of its objects, are counted as they are read."""
    kept = dict.fromkeys(classes, 0)
    images_left_out, outlines_left_out = Counter(split.left_out), Counter(split.annotations_left_out)
    annotations: dict[str, Any] = {"kept": 0, "left_out": outlines_left_out}

    def images() -> Iterator[Extracted]:
        for image, result in zip(split.images, results, strict=True):
            if isinstance(result, str):
                outlines_left_out[result] += image.annotations
                if result == VANISHED:
                    images_left_out[VANISHED] += 1
                else:
                    yield image.id, result
                continue
            *tensors, empty = result
            outlines_left_out.update(image.ignored | ({"no_area": empty} if empty else {}))
            annotations["kept"] += len(image.outlines) - empty
            for name in {outline.category for outline in image.outlines if not outline.crowd}:
                kept[name] += 1
            yield image.id, (tensors[0], tensors[1])

    return SplitImages(split.source, images(), images_left_out, {"classes": kept, "annotations": annotations})
