"""One image and its outline to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.coco.selection import Selected
from losslab.data.photos import Unusable, read_image, reduce_mask
from losslab.data.tensors import Array

VANISHED = "mask_vanishes"
"""The one reason that is the doing of `image_size`, not of the source: such an image is readable."""

Result = tuple[Array, Array] | str
"""An image `[3, S, S]` and its mask `[C, S, S]`, or why there is none."""


class Job(NamedTuple):
    """One image to extract: its record, the raw folder it lies in, the plane of its object, of how many, their side."""

    raw: Path
    image: Selected
    plane: int
    planes: int
    size: int


def extract(job: Job) -> Result:
    """An image `[3, S, S]` and its mask `[C, S, S]`, or why not."""
    record = job.image
    if record.lacking:
        return record.lacking
    try:
        # The mask first: a record's absurd size shows here without touching the file.
        mask = reduce_mask(rasterise(bytes(record.segmentation), record.width, record.height), job.size)
        image = read_image(job.raw / record.file, record.width, record.height, job.size)
        if not mask.any():
            raise Unusable(VANISHED)
    except Unusable as reason:
        return str(reason)
    masks = np.zeros((job.planes, job.size, job.size), np.uint8)
    masks[job.plane] = mask
    return image, masks
