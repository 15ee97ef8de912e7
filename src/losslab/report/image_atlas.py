"""The image browser's data: test images, truth and predictions as atlases that a page can hold.

An atlas is one WebP image with a tile for each test image. Of masks, the value of a pixel has bit k set where class k
is, so one grey atlas holds eight classes; it is lossless, and a canvas gives the bits back. So do atlases of what is
unknown, if anything is.
"""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from losslab.data import tensors
from losslab.evaluation.metrics import METRICS
from losslab.inference.overlays import FALSE, MISSED, RIGHT, class_colours
from losslab.report.evidence import Evidence
from losslab.report.figures.style import looks

Bytes = NDArray[np.uint8]

LARGEST_SIDE = 8192
"""Pixels of an atlas: every browser decodes that."""


def browser(evidence: Evidence, budget: int) -> dict[str, Any] | None:
    """What the page's script shows: all images and seeds if they fit in `budget` bytes, else first seeds and fewer
    images, evenly spaced. None if nothing was predicted."""
    if not evidence.seeds:
        return None
    height, width = evidence.test.images.shape[2:]
    count = min(len(evidence.test.ids), (LARGEST_SIDE // max(height, width, 1)) ** 2)
    most_seeds = max(map(len, evidence.seeds.values()))
    while True:
        chosen = np.unique(np.linspace(0, len(evidence.test.ids) - 1, count).round().astype(int))
        atlases = _atlases(evidence, chosen, most_seeds, budget)
        size = sum(len(atlas) for loss in atlases.values() for group in loss for atlas in group)
        if size <= budget or count == 1:
            return _document(evidence, chosen, most_seeds, atlases)
        if most_seeds > 1:
            most_seeds = 1
        else:
            count = max(1, int(0.9 * count * budget / size))


def _atlases(evidence: Evidence, chosen: NDArray[np.int64], seeds: int, budget: int) -> dict[str, list[list[str]]]:
    """`""` → photographs, truth and what is unknown, loss → each seed; of each the atlases, one every eight classes."""
    images = evidence.test.images[chosen].transpose(0, 2, 3, 1)
    truth = evidence.truth(chosen)
    unknown = _mask_atlases(truth == tensors.VOID) if evidence.test.has_void else []
    atlases = {"": [[_photographs(images, budget)], _mask_atlases(truth == 1), unknown]}
    for loss, trained in evidence.seeds.items():
        atlases[loss] = [_mask_atlases(evidence.predicted(loss, seed)[chosen]) for seed in trained[:seeds]]
    return atlases


def _document(
    evidence: Evidence, chosen: NDArray[np.int64], seeds: int, atlases: dict[str, list[list[str]]]
) -> dict[str, Any]:
    test = evidence.test
    look = looks(evidence.losses)
    present = test.pixels[0][chosen][:, evidence.shown]
    order = [row.loss for row in evidence.ranked if row.loss in evidence.seeds]
    return {
        "metric": METRICS["image_dice"].title,
        "tile": [test.images.shape[3], test.images.shape[2]],
        "columns": _columns(len(chosen)),
        "total": len(test.ids),
        "ids": [test.ids[i] for i in chosen],
        "classes": [
            {"name": name, "colour": f"#{r:02x}{g:02x}{b:02x}"}
            for name, (r, g, b) in zip(evidence.shown_names, class_colours(len(evidence.shown_names)), strict=True)
        ],
        "present": [np.flatnonzero(row).tolist() for row in present],
        "outcomes": [["right", RIGHT], ["missed", MISSED], ["false", FALSE]],
        "photographs": atlases[""][0][0],
        "truth": atlases[""][1],
        "unknown": atlases[""][2],
        "losses": [
            {
                "name": loss,
                "colour": look[loss].colour,
                "seeds": [
                    {"seed": seed, "masks": masks, "dice": _thousandths(evidence.dice[loss][k][chosen])}
                    for k, (seed, masks) in enumerate(zip(evidence.seeds[loss][:seeds], atlases[loss], strict=True))
                ],
            }
            for loss in order
        ],
    }


def _thousandths(dice: NDArray[np.float64]) -> list[int | None]:
    return [None if np.isnan(value) else round(1000 * value) for value in dice.tolist()]


def _photographs(images: Bytes, budget: int) -> str:
    """Lossless where that is small (drawings), else as photographs are kept."""
    sample = images[:: max(1, len(images) // 16)]
    estimate = len(_encode(_atlas(sample), lossless=True)) * len(images) / len(sample)
    return _encode(_atlas(images), lossless=estimate < budget / 4)


def _mask_atlases(masks: NDArray[np.bool_]) -> list[str]:
    bits = [plane.view(np.uint8) << c % 8 for c, plane in enumerate(masks.swapaxes(0, 1))]  # np.packbits takes longer
    groups = [np.bitwise_or.reduce(bits[c : c + 8]) for c in range(0, len(bits), 8)]
    return [_encode(_atlas(group), lossless=True) for group in groups]


def _columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _atlas(tiles: Bytes) -> Bytes:
    """Tiles `[N, H, W]` or `[N, H, W, 3]` row by row in one image."""
    count, height, width = tiles.shape[:3]
    columns = _columns(count)
    rows = -(-count // columns)
    whole = np.zeros((rows * columns, *tiles.shape[1:]), np.uint8)
    whole[:count] = tiles
    grid = whole.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *tiles.shape[3:])


def _encode(image: Bytes, *, lossless: bool) -> str:
    buffer = io.BytesIO()
    # Of what is lossless, quality is the effort: 80 takes 2.4 times as long for a seventh less.
    Image.fromarray(image).save(buffer, "webp", lossless=lossless, quality=0 if lossless else 80)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
