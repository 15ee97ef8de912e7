"""One image and its regions to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.exports.label_studio.brush import decode
from losslab.data.exports.label_studio.tasks import Value
from losslab.data.photos import Unusable, empty_mask, read_image, reduce_mask, turned_size
from losslab.data.tensors import Array, Frame


class Job(NamedTuple):
    """One image to extract: the raw folder, its name, its task, the classes, what it is fitted into."""

    raw: Path
    image: str
    task: int
    classes: Sequence[str]
    frame: Frame


def extract(job: Job) -> tuple[Array, Array] | str:
    """An image `[3, H, W]` and its masks `[C, H, W]`, or why there are none."""
    path = job.raw / "images" / job.image
    try:
        width, height = turned_size(path)
        image = read_image(path, width, height, job.frame)
        values = msgspec.json.decode((job.raw / "regions" / f"{job.task}.json").read_bytes(), type=list[Value])
        masks = []
        for name in job.classes:
            regions = [value for value in values if name in value.names]
            whole = drawn(regions, width, height)
            masks.append(reduce_mask(whole, job.frame) if regions else empty_mask(width, height, job.frame))
    except Unusable as reason:
        return str(reason)
    return image, np.stack(masks)


def drawn(regions: Sequence[Value], width: int, height: int) -> Array:
    """The union of regions, uint8 `[height, width]` of 0 and 1.

    Raises:
        Unusable: a polygon has fewer than three corners or one far outside; a stroke cannot be decoded.
    """
    scale = np.array([width, height]) / 100
    corners = [(np.array(region.points) * scale).ravel().tolist() for region in regions if region.points is not None]
    mask, _ = rasterise([msgspec.json.encode([outline]) for outline in corners], width, height)
    for region in regions:
        if region.rle is not None:
            mask = mask | decode(region.rle, width, height)
    return mask
