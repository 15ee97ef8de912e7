"""Images extracted a second: this project's extraction against the literal method of report A, in one run.

    python benchmarks/extract.py FOLDER

FOLDER has COCO's layout. Each image is taken with its largest object. The literal method takes one image after the
other: decode, resize, `annToMask`, `scipy.ndimage.zoom`; its arrays stay in memory. This project's figure includes
starting its processes and writing the tensors. Rounds of the two alternate; the ratio of the medians is what to read.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from pycocotools.coco import COCO
from scipy.ndimage import zoom

from losslab import data
from losslab.data.coco_selection import Selected, Selection, SplitSelection

Pair = tuple[dict[str, Any], dict[str, Any]]  # image record, annotation


def literal(coco: COCO, folder: Path, pairs: list[Pair], size: int) -> None:
    """Report A's method."""
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
            category="object",
            segmentation=msgspec.Raw(msgspec.json.encode(annotation["segmentation"])),
            annotations=1,
            ignored={},
        )
        for record, annotation in pairs
    ]
    parts = {"train": images * repeat, "val": images[:1], "test": images[:1]}
    splits = {name: SplitSelection(name, part, {}, {}) for name, part in parts.items()}
    return Selection(("object",), len(images) * repeat + 2, len(images) * repeat + 2, splits)


def largest_objects(coco: COCO) -> Iterator[Pair]:
    for image_id in coco.getImgIds():
        annotations = coco.loadAnns(coco.getAnnIds(image_id, iscrowd=False))
        if annotations:
            yield coco.loadImgs(image_id)[0], max(annotations, key=lambda annotation: annotation["area"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=8, help="how often this project takes each image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    with contextlib.redirect_stdout(io.StringIO()):  # it chats
        coco = COCO(str(args.folder / "annotations" / f"instances_{args.split}.json"))
    pairs = list(largest_objects(coco))
    folder = args.folder / args.split
    dataset = data.registry.build(
        {
            "kind": "coco",
            "download": {
                "annotations": "",
                "images": "",
                "train": "train",
                "classes": ("object",),
                "instances": "one_of_class",
            },
            "extract": {"image_size": args.size, "planes": "binary", "workers": args.workers, "max_unreadable": 0},
        }
    )
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as work:
        raw = Path(work)
        (raw / "selection.json").write_bytes(msgspec.json.encode(selection(folder, pairs, args.repeat)))
        for number in range(args.rounds):
            started = time.perf_counter()
            literal(coco, folder, pairs, args.size)
            theirs.append(len(pairs) / (time.perf_counter() - started))
            out = raw / str(number)
            out.mkdir()
            started = time.perf_counter()
            dataset.write_tensors(raw, out)
            ours.append(len(pairs) * args.repeat / (time.perf_counter() - started))
    print(f"{len(pairs)} images to {args.size}×{args.size}, {args.rounds} rounds, {args.workers} workers")
    print(f"literal method, one image at a time: {median(theirs):.0f} images/s")
    print(f"losslab, {args.workers} processes: {median(ours):.0f} images/s, {median(ours) / median(theirs):.2f}×")


if __name__ == "__main__":
    main()
