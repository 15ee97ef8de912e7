"""One image and its outlines to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.coco.selection import Selected
from losslab.data.photos import Unusable, empty_mask, read_image, reduce_mask
from losslab.data.tensors import VOID, Array, Frame

VANISHED = "mask_vanishes"
"""The one reason that is the doing of `image_size`, not of the source: such an image is readable."""

Result = tuple[Array, Array, int] | str
"""An image `[3, H, W]`, its masks `[C, H, W]`, and how many outlines cover no pixel; or why there is none."""


class Job(NamedTuple):
    """One image to extract: its record, the raw folder it lies in, the classes of each plane, their frame."""

    raw: Path
    image: Selected
    planes: Sequence[Sequence[str]]
    frame: Frame


def extract(job: Job) -> Result:
    """An image and its masks, or why not."""
    record = job.image
    if record.lacking:
        return record.lacking
    try:
        # The masks first: a record's absurd size shows here without touching the file.
        drawn = [_plane(record, classes, job.frame) for classes in job.planes]
        masks, empty = np.stack([mask for mask, _ in drawn]), sum(count for _, count in drawn)
        if empty == sum(not outline.crowd for outline in record.outlines):
            raise Unusable("no_area")
        image = read_image(job.raw / record.file, record.width, record.height, job.frame)
        if not (masks == 1).any():
            raise Unusable(VANISHED)
    except Unusable as reason:
        return str(reason)
    return image, masks, empty


def _plane(record: Selected, classes: Sequence[str], frame: Frame) -> tuple[Array, int]:
    """The plane `[H, W]` of some classes: 1 where objects cover half of a pixel, void where they do together
    with crowds; and how many objects cover no pixel at full size."""
    outlines = [outline for outline in record.outlines if outline.category in classes]
    if not outlines:
        return empty_mask(record.width, record.height, frame), 0
    objects, crowds = ([bytes(o.segmentation) for o in outlines if o.crowd == crowd] for crowd in (False, True))
    whole, empty = rasterise(objects, record.width, record.height)
    plane = reduce_mask(whole, frame)
    if crowds:
        unknown, _ = rasterise(crowds, record.width, record.height)
        plane[(plane == 0) & (reduce_mask(unknown | whole, frame) == 1)] = VOID
    return plane, empty
