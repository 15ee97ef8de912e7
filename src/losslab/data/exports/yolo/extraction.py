"""One image and its polygons to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.exports.yolo.description import Labelled
from losslab.data.photos import Unusable, empty_mask, read_image, reduce_mask, turned_size
from losslab.data.tensors import Array, Frame
from losslab.errors import InputError

ROUNDING = 1e-6  # what an exporter may have written beyond a border


class Job(NamedTuple):
    """One image to extract: the raw folder, its files, the names of the classes, what it is fitted into."""

    raw: Path
    image: Labelled
    classes: Sequence[str]
    frame: Frame


def extract(job: Job) -> tuple[Array, Array] | str:
    """An image `[3, H, W]` and its masks `[C, H, W]`, or why there are none.

    Raises:
        InputError: a line of its polygons is not what the format says.
    """
    try:
        width, height = turned_size(job.raw / "images" / job.image.image)
        polygons = read_polygons(job.raw / "labels" / job.image.labels, job.classes) if job.image.labels else {}
        image = read_image(job.raw / "images" / job.image.image, width, height, job.frame)
        masks = []
        for number in range(len(job.classes)):
            if number not in polygons:
                masks.append(empty_mask(width, height, job.frame))
                continue
            scaled = [(np.array(points) * [width, height]).ravel().tolist() for points in polygons[number]]
            whole, _ = rasterise([msgspec.json.encode([outline]) for outline in scaled], width, height)
            masks.append(reduce_mask(whole, job.frame))
    except Unusable as reason:
        return str(reason)
    return image, np.stack(masks)


def read_polygons(path: Path, classes: Sequence[str]) -> dict[int, list[list[tuple[float, float]]]]:
    """Class → its polygons, each a list of corners (x, y) in shares of width and height.

    Raises:
        InputError: a line has no class of the list, an odd number of coordinates, less than three corners, one outside
            of the image, or is a box.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    polygons: dict[int, list[list[tuple[float, float]]]] = {}
    for index, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            number, *values = [int(words[0]), *map(float, words[1:])]
        except ValueError:
            raise InputError(f"{path}: line {index}: not a class and coordinates: {line[:60]!r}") from None
        if problem := _problem(int(number), values, classes):
            raise InputError(f"{path}: line {index}: {problem}")
        inside = [min(max(value, 0.0), 1.0) for value in values]
        polygons.setdefault(int(number), []).append(list(zip(inside[::2], inside[1::2], strict=True)))
    return polygons


def _problem(number: int, values: Sequence[float], classes: Sequence[str]) -> str:
    """What is wrong with a line, in words; empty: nothing."""
    if not 0 <= number < len(classes):
        return f"class {number} is not among the {len(classes)} that are named, 0 to {len(classes) - 1}"
    if len(values) == 4:
        return "a box, and polygons are wanted: export the data set for segmentation"
    if len(values) % 2:
        return f"{len(values)} coordinates, an odd number: one is missing or too many"
    if len(values) < 6:
        return f"{len(values) // 2} corners are no polygon"
    outside = [value for value in values if not (math.isfinite(value) and -ROUNDING <= value <= 1 + ROUNDING)]
    if outside:
        return f"the coordinate {outside[0]} is outside [0, 1]: they are shares of the image's width and height"
    return ""
