"""One image and its outline to tensors.

Apart from the data set itself, so that worker processes, which import this module, start without what fetches files.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from losslab.data.coco.outlines import rasterise
from losslab.data.extraction import VANISHED
from losslab.data.photos import Unusable, read_image, reduce_mask
from losslab.data.tensors import Array

Result = tuple[Array, Array] | str
"""An image `[3, S, S]` and its mask `[C, S, S]`, or why there is none."""


class Job(NamedTuple):
    """One image to extract, or the reason why it cannot be."""

    path: Path
    segmentation: bytes
    width: int
    height: int
    plane: int
    planes: int
    size: int
    lacking: str


def extract(job: Job) -> Result:
    """An image `[3, S, S]` and its mask `[C, S, S]`, or why not."""
    try:
        if job.lacking:
            raise Unusable(job.lacking)
        # The mask first: a record's absurd size shows here without touching the file.
        mask = reduce_mask(rasterise(job.segmentation, job.width, job.height), job.size)
        image = read_image(job.path, job.width, job.height, job.size)
        if not mask.any():
            raise Unusable(VANISHED)
    except Unusable as reason:
        return str(reason)
    masks = np.zeros((job.planes, job.size, job.size), np.uint8)
    masks[job.plane] = mask
    return image, masks
