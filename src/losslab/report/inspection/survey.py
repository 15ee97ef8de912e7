"""A data set looked at: read as its entry says, and told in ten lines and a picture."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from scipy import ndimage

from losslab import data
from losslab.data import tensors
from losslab.data.photos import Unusable, turned_size
from losslab.data.sources.archives import open_files
from losslab.data.splits import SPLITS
from losslab.errors import InputError
from losslab.inference.overlays import class_colours, overlay, side_by_side
from losslab.report.inspection.formats import Proposal, recognise, recognise_outlines
from losslab.report.inspection.patterns import is_image
from losslab.settings.schema import explain

MOST_IMAGES = 1000
"""Of each split that are looked at."""
SHOWN, SHOWN_CLASSES = 12, 8
ANY = 10**9


def survey(path: Path, image_size: int | None, sheet: Path) -> tuple[list[str], dict[str, Any]]:
    """Lines on the data set at `path`, and its entry of params.yaml; a picture of some of its images with their masks.

    Args:
        path: a folder, an archive, or a file in COCO's format.
        image_size: of the entry; none: a power of two that is not above the images' shorter sides.
        sheet: where the picture goes.

    Raises:
        InputError: there is nothing that is known at `path`, or it cannot be read.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if path.suffix.lower() == ".json":
            proposal = recognise_outlines(path)
        elif path.is_dir():
            proposal = recognise(path, str(path))
        else:
            files = open_files(path, str(path))
            files.copy({name: folder / "unpacked" / name for name in files.names()})
            proposal = recognise(folder / "unpacked", str(path))
        (folder / "raw").mkdir()
        limited = proposal.download | {"max_images": dict.fromkeys(SPLITS, MOST_IMAGES)}
        made = _built(replace(proposal, download=limited), {"image_size": 8})
        with redirect_stdout(StringIO()):
            made.fetch(folder / "raw")
        sizes = _sizes(folder / "raw")
        if not sizes:
            raise InputError(f"{path}: none of its images can be read")
        shorter = int(np.median([min(size) for size in sizes]))
        side = image_size or min(256, max(32, 1 << (shorter.bit_length() - 1)))
        fit = "stretch" if len(set(sizes)) == 1 and sizes[0][0] == sizes[0][1] else "pad"
        extract: dict[str, Any] = {"image_size": side, **({"fit": fit} if fit == "pad" else {}), **proposal.extract}
        out = folder / "out"
        out.mkdir()
        lenient = {"max_unreadable": ANY, "max_duplicates": ANY}
        with redirect_stdout(StringIO()):  # the lines say it all
            _built(replace(proposal, download=limited), extract | lenient).write_tensors(folder / "raw", out)
        splits = {split: tensors.read(out / f"{split}.safetensors") for split in SPLITS}
        account = json.loads((out / "extract.json").read_text(encoding="utf-8"))
        contact_sheet(splits["train"], sheet)
        entry = {"kind": proposal.kind, "download": proposal.download, "extract": extract}
        return _lines(proposal.format, sizes, splits, account), entry


def _built(proposal: Proposal, extract: Mapping[str, Any]) -> data.Dataset:
    spec = {"kind": proposal.kind, "download": proposal.download, "extract": {**proposal.extract, **extract}}
    try:
        return data.registry.build(spec)
    except ValidationError as error:
        raise InputError(explain(error, "the entry for params.yaml")) from None


def _sizes(raw: Path) -> list[tuple[int, int]]:
    """Width and height of every image that was fetched and can be opened."""
    sizes = []
    for path in sorted((raw / "images").rglob("*")):
        if path.is_file() and is_image(path.name):
            try:
                sizes.append(turned_size(path))
            except Unusable:
                continue
    return sizes


def _lines(
    form: str, sizes: list[tuple[int, int]], splits: Mapping[str, tensors.Split], account: Mapping[str, Any]
) -> list[str]:
    train = splits["train"]
    counts = {name: len(split.ids) for name, split in splits.items()}
    ones, known = (np.concatenate([split.pixels[k] for split in splits.values()]) for k in (0, 1))
    order = np.argsort(-ones.sum(0), kind="stable")
    shares = [f"{train.classes[k]} {ones[:, k].sum() / max(1, known[:, k].sum()):.1%}" for k in order]
    sides = sorted(sizes, key=lambda size: size[0] * size[1])
    area = train.images.shape[2] * train.images.shape[3]
    void = 1 - known.sum() / max(1, known.shape[1] * known.shape[0] * area)
    duplicates, unreadable = account.get("duplicates", []), account.get("unreadable", [])
    left_out = sum(sum(split["left_out"].values()) for split in account["splits"].values())
    absent = [f"{name} in no image of {s}" for s, names in account["absent_classes"].items() for name in names]
    objects = _objects(train)

    def listed(entries: list[str]) -> str:
        more = len(entries) - SHOWN_CLASSES
        return ", ".join(entries[:SHOWN_CLASSES]) + (f", and {more} more" if more > 0 else "")

    return [
        f"format:      {form}",
        f"images:      {sum(counts.values())} with masks, {left_out} left out; of a split {MOST_IMAGES} at most",
        f"sizes:       {_size(sides[0])} to {_size(sides[-1])}, the middle one {_size(sides[len(sides) // 2])}",
        f"classes:     {len(train.classes)}{', which exclude each other' if train.exclusive else ''}",
        f"pixels:      {listed(shares)}",
        f"void:        {void:.1%} of the pixels{', padding among them' if train.padded else ''}",
        f"objects:     {objects}",
        f"splits:      {', '.join(f'{name} {count}' for name, count in counts.items())}",
        "duplicates:  "
        + listed([f"{d['split']} {d['id']} is {d['same_as']}" for d in duplicates] or ["none between splits"]),
        "unreadable:  " + listed([f"{u['id']} ({u['reason']})" for u in unreadable] or ["none"]),
        *([f"absent:      {listed(absent)}"] if absent else []),
    ]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _objects(split: tensors.Split) -> str:
    """Connected areas of each class in an image, by 8 neighbours, as they are at the entry's size."""
    counts = []
    for index in range(min(len(split.ids), 200)):
        planes = split.masks_of(index)[int(split.exclusive and split.classes[0] == tensors.BACKGROUND) :]
        counts.append(sum(ndimage.label(plane == 1, np.ones((3, 3)))[1] for plane in planes))
    return f"{np.mean(counts):.1f} an image, at most {max(counts)}"


def contact_sheet(split: tensors.Split, path: Path) -> None:
    """Images from the emptiest to the fullest with their classes in colour; void is striped."""
    names = [name for name in split.classes if not (split.exclusive and name == tensors.BACKGROUND)]
    colours = class_colours(len(names))
    pictures = []
    for index in tensors.spread(split, SHOWN):
        photo, masks = np.ascontiguousarray(split.images[index].transpose(1, 2, 0)), split.masks_of(index)
        planes = masks[len(split.classes) - len(names) :]
        numbers = np.zeros(photo.shape[:2], np.uint8)
        for number, plane in enumerate(planes, start=1):
            numbers[plane == 1] = number
        painted = overlay(photo, numbers, colours)
        rows, columns = np.indices(numbers.shape)
        painted[(masks == tensors.VOID).any(axis=0) & (numbers == 0) & ((rows + columns) % 8 < 3)] = 0
        pictures.append((Path(split.ids[index]).name[-40:], painted))
    most = np.argsort(-split.pixels[0].sum(0)[len(split.classes) - len(names) :], kind="stable")[:SHOWN_CLASSES]
    side_by_side(pictures, {names[k]: colours[k] for k in most}).save(path)
