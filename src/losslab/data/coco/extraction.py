"""One image and its outline to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.coco.selection import Selected
from losslab.data.photos import Frame, Unusable, read_image, reduce_mask
from losslab.data.tensors import VOID, Array

VANISHED = "mask_vanishes"
"""The one reason that is the doing of `image_size`, not of the source: such an image is readable."""

Result = tuple[Array, Array] | str
"""An image `[3, H, W]` and its masks `[C, H, W]`, or why there are none."""


class Job(NamedTuple):
    """One image to extract: its record, the raw folder it lies in, the plane of its object, of how many, their
    frame."""

    raw: Path
    image: Selected
    plane: int
    planes: int
    frame: Frame


def extract(job: Job) -> Result:
    """An image `[3, H, W]` and its masks `[C, H, W]`, or why not."""
    record = job.image
    if record.lacking:
        return record.lacking
    try:
        # The mask first: a record's absurd size shows here without touching the file.
        mask = reduce_mask(rasterise(bytes(record.segmentation), record.width, record.height), job.frame)
        image = read_image(job.raw / record.file, record.width, record.height, job.frame)
        if not (mask == 1).any():
            raise Unusable(VANISHED)
    except Unusable as reason:
        return str(reason)
    masks = np.where(mask == VOID, mask, 0)[None].repeat(job.planes, axis=0)
    masks[job.plane] = mask
    return image, masks
