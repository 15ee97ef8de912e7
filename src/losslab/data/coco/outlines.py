"""Outlines to a mask, by pycocotools; whatever cannot be drawn has a named reason.

Outlines come from anywhere, so none reaches pycocotools, which is C and trusts its input, before it is checked.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from losslab.data.coco.annotations import RLE, Segmentation
from losslab.data.photos import MAX_PIXELS, MAX_SIDE, Unusable
from losslab.data.tensors import Array


def rasterise(segmentations: Iterable[bytes], width: int, height: int) -> tuple[Array, int]:
    """The union of outlines at full size, uint8 `[height, width]` of 0 and 1, by pycocotools; how many cover no pixel.

    Raises:
        Unusable: an outline is missing, malformed or far outside the image.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Unusable("too_large")
    runs = [_runs(segmentation, width, height) for segmentation in segmentations]
    empty = sum(not area for area in coco_mask.area(runs)) if runs else 0
    mask: Array = coco_mask.decode(coco_mask.merge(runs)) if runs else np.zeros((height, width), np.uint8)
    return mask, empty


def _runs(segmentation: bytes, width: int, height: int) -> Any:
    """One outline as pycocotools holds masks."""
    outline: Segmentation = msgspec.json.decode(segmentation, type=Segmentation)
    if not outline:
        raise Unusable("no_segmentation")
    if isinstance(outline, RLE):
        counts = decompress(outline.counts) if isinstance(outline.counts, str) else outline.counts
        if outline.size != (height, width) or min(counts, default=-1) < 0 or sum(counts) != width * height:
            raise Unusable("bad_rle")
        return coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    for polygon in outline:
        # pycocotools takes four numbers for a box.
        if len(polygon) < 6 or len(polygon) % 2:
            raise Unusable("bad_polygon")
        # It also walks every pixel of an edge, however far out.
        x, y = np.array(polygon).reshape(-1, 2).T
        if x.min() < -width or x.max() > 2 * width or y.min() < -height or y.max() > 2 * height:
            raise Unusable("polygon_outside_image")
    return coco_mask.merge(coco_mask.frPyObjects(outline, height, width))


def decompress(text: str) -> list[int]:
    """The run lengths in COCO's compressed text: 5 bits a character, lowest first, from the third run on as the
    difference to the run two before.

    Raises:
        Unusable: the text is cut short, or has characters that such text has not.
    """
    counts: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise Unusable("bad_rle")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise Unusable("bad_rle")
    return counts
