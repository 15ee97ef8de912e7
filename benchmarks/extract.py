"""Images extracted a second: this project's extraction against the literal method of report A, in one run.

    python benchmarks/extract.py FOLDER

FOLDER has COCO's layout. Each image is taken with its largest object. The literal method takes one image after the
other: decode, resize, `annToMask`, `scipy.ndimage.zoom`; its arrays stay in memory. This project's figure includes
starting its processes and writing the tensors. Rounds of the two alternate; the ratio of the medians is what to read.
Where other work has the processors too, elapsed time says less than the processor time of one image, which is measured
beside it with one process each.
"""

import argparse
import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from PIL import Image
from timing import PROCESSORS, Figure, Goal, Skipped, figure

from losslab import data
from losslab.data.coco.selection import Outline, Selected, Selection, SplitSelection

if TYPE_CHECKING:
    # Imported where they are used: a spawned process imports this file, and has no part in the literal method.
    from pycocotools.coco import COCO
    from speed import Options

Pair = tuple[dict[str, Any], dict[str, Any]]  # image record, annotation


def literal(coco: "COCO", folder: Path, pairs: list[Pair], size: int) -> None:
    """Report A's method."""
    from scipy.ndimage import zoom

    kept = []
    for record, annotation in pairs:
        image = Image.open(folder / record["file_name"]).convert("RGB").resize((size, size))
        mask = coco.annToMask(annotation)
        kept.append((np.asarray(image), zoom(mask, (size / mask.shape[0], size / mask.shape[1]))))


def selection(folder: Path, pairs: list[Pair], repeat: int) -> Selection:
    """What the download stage would have written, had it selected `pairs`."""
    images = [
        Selected(
            id=record["id"],
            file=str(folder.resolve() / record["file_name"]),
            width=record["width"],
            height=record["height"],
            outlines=[Outline("object", msgspec.Raw(msgspec.json.encode(annotation["segmentation"])), crowd=False)],
            ignored={},
        )
        for record, annotation in pairs
    ]
    parts = {"train": images * repeat, "val": images[:1], "test": images[:1]}
    splits = {name: SplitSelection(name, part, {}, {}) for name, part in parts.items()}
    return Selection(("object",), len(images) * repeat + 2, len(images) * repeat + 2, splits)


def largest_objects(coco: "COCO") -> Iterator[Pair]:
    for image_id in coco.getImgIds():
        annotations = coco.loadAnns(coco.getAnnIds(image_id, iscrowd=False))
        if annotations:
            yield coco.loadImgs(image_id)[0], max(annotations, key=lambda annotation: annotation["area"])


def dataset(size: int, workers: int) -> data.Dataset:
    download = {"annotations": "", "images": "", "train": "train", "classes": ("object",), "instances": "one_of_class"}
    extract = {"image_size": size, "planes": "binary", "workers": workers, "max_unreadable": 0, "max_duplicates": 2}
    return data.registry.build({"kind": "coco", "download": download, "extract": extract})


def timed(work: Callable[[], None], images: int) -> tuple[float, float]:
    """Images a second, and milliseconds of this process's processor time an image."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return images / (time.perf_counter() - wall), 1e3 * (time.process_time() - processor) / images


def measure(source: Path, split: str, size: int, repeat: int, rounds: int, workers: int) -> list[Figure]:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):  # it chats
        coco = COCO(str(source / "annotations" / f"instances_{split}.json"))
    pairs = list(largest_objects(coco))
    folder = source / split
    literal(coco, folder, pairs[:8], size)  # its imports are not its work
    theirs, ours, alone = [], [], []
    with tempfile.TemporaryDirectory() as work:
        for _ in range(rounds):
            theirs.append(timed(lambda: literal(coco, folder, pairs, size), len(pairs)))
            for figures, processes, times in ((ours, workers, repeat), (alone, 1, 1)):
                raw, out = Path(work, "raw"), Path(work, "out")
                raw.mkdir()
                out.mkdir()
                (raw / "selection.json").write_bytes(msgspec.json.encode(selection(folder, pairs, times)))
                extract = partial(dataset(size, processes).write_tensors, raw, out)
                figures.append(timed(extract, len(pairs) * times))
                shutil.rmtree(raw)
                shutil.rmtree(out)
    rates, costs = ([[found[part] for found in whose] for whose in (ours, theirs)] for part in (0, 1))
    costs[0] = [cost for _, cost in alone]
    what = f"extraction to {size}×{size}"
    return [
        figure(f"{what}, {workers} processes", "images/s", rates[0], "report A", rates[1], Goal("ratio", "≥", 3)),
        figure(f"{what}, processor time of an image", "ms", costs[0], "report A", costs[1]),
    ]


def figures(options: "Options") -> list[Figure]:
    if options.coco is None:
        raise Skipped("it needs a folder in COCO's layout: `make bench COCO=FOLDER`")
    return measure(options.coco, "train2017", 256, 10, min(options.rounds, 3), PROCESSORS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=10, help="how often this project's processes take each image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    for row in measure(args.folder, args.split, args.size, args.repeat, args.rounds, args.workers):
        print(f"{row.what}: {row.ours:.2f} {row.unit}, {row.baseline} {row.theirs:.2f} {row.unit}: {row.ratio:.2f} ×")


if __name__ == "__main__":
    main()
