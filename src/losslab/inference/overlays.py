"""Classes as pictures: the project's colours, masks with a palette, and overlays on photographs.

In go photographs, uint8 `[H, W, 3]`, and class numbers, uint8 `[H, W]`: from 1 in the order of the classes, 0 for none.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
ClassNumbers = NDArray[np.uint8]
RGB = tuple[int, int, int]

ORANGE, SKY_BLUE, GREEN, YELLOW = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)
PURPLE, VERMILION, BLUE = (204, 121, 167), (213, 94, 0), (0, 114, 178)
OKABE_ITO: tuple[RGB, ...] = (ORANGE, SKY_BLUE, GREEN, YELLOW, PURPLE, VERMILION, BLUE)
"""Told apart by colour-blind eyes too (Okabe and Ito, 2008)."""

ON_PAPER: tuple[RGB, ...] = (
    BLUE, VERMILION, GREEN, (199, 104, 158), (192, 138, 0), (61, 156, 214), (128, 136, 145), (143, 107, 209),
)  # fmt: skip
"""The same for lines and text of a report, with grey and violet: what is pale is darkened, so that each stands out from
white and from black."""

EYES = np.array([
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
])  # fmt: skip
"""Linear RGB as seen by normal eyes, without red cones, without green ones."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""From linear sRGB to CIE XYZ; white is the sum of each row."""

RIGHT, MISSED, FALSE = GREEN, ORANGE, (204, 40, 120)
"""Pixels that are predicted and true, true alone, and predicted alone."""

PER_ROW = 4
"""Pictures side by side."""


def class_colours(count: int, first: tuple[RGB, ...] = OKABE_ITO) -> list[RGB]:
    """One for each class: those given, then each as far as can be from all before it, to every kind of eye."""
    return [*first, *_further(first, max(0, count - len(first)))][:count]


@cache
def _further(first: tuple[RGB, ...], count: int) -> tuple[RGB, ...]:
    """Colours of a grid that are farthest, in CIELAB, from those chosen before and from white, grey and black, as
    whoever sees them worst sees them: with normal eyes, without red cones, or without green ones."""
    steps = np.linspace(0, 255, 12).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    places = _seen(grid)  # [3 kinds of eye, colours, 3]

    def nearness(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
        apart = np.linalg.norm(places[:, :, None] - _seen(colours)[:, None], axis=-1)  # [eyes, grid, colours]
        nearest: NDArray[np.float64] = apart.min(axis=(0, 2))
        return nearest

    distance = nearness(np.array([*first, (255,) * 3, (128,) * 3, (0,) * 3], np.uint8))
    chosen = []
    for _ in range(count):
        best = int(np.argmax(distance.round(6)))
        chosen.append(grid[best])
        distance = np.minimum(distance, nearness(grid[best : best + 1]))
    return tuple((int(r), int(g), int(b)) for r, g, b in chosen)


def _seen(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB `[n, 3]` → CIELAB `[3, n, 3]`, as seen by normal eyes, and without red or green cones.

    Reference: Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision
    deficiency", 2009, severity 1.
    """
    values = colours / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("eij,nj->eni", EYES, linear), 0, 1)
    xyz = np.einsum("ij,enj->eni", XYZ, seen) / XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def mask_image(numbers: ClassNumbers, classes: int) -> Image.Image:
    """0 and 255 for one class; else the class numbers, in their colours."""
    if classes == 1:
        return Image.fromarray(numbers * 255)
    image = Image.fromarray(numbers).convert("P")
    image.putpalette([0, 0, 0, *(channel for colour in class_colours(classes) for channel in colour)])
    return image


def overlay(photo: Pixels, numbers: ClassNumbers, colours: Sequence[RGB]) -> Pixels:
    """The photograph with its classes in their `colours`, their borders in full colour."""
    painted = photo.copy()
    palette = np.array([(0, 0, 0), *colours], np.uint8)
    inside = numbers > 0
    # Over grey, a class has one hue whatever the photograph's colours are.
    grey = np.asarray(Image.fromarray(photo).convert("L"))[inside, None]
    painted[inside] = grey // 3 + (palette[numbers[inside]] // 3) * 2
    width = max(1, round(max(numbers.shape) / 400))
    same = np.ones_like(inside)
    for axis in (0, 1):
        for shift in (-width, width):
            same &= np.roll(numbers, shift, axis) == numbers
    border = inside & ~same
    painted[border] = palette[numbers[border]]
    return painted


def side_by_side(pictures: Sequence[tuple[str, Pixels]], legend: Mapping[str, RGB]) -> Image.Image:
    """Pictures of one size under their titles, row by row, with a legend below."""
    height, width = pictures[0][1].shape[:2]
    scale = float(np.clip(max(width, height), 256, 512)) / max(width, height)
    width, height = (max(1, round(side * scale)) for side in (width, height))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    columns = min(PER_ROW, len(pictures))
    rows = -(-len(pictures) // columns)
    gap, line = 8, 22
    font = ImageFont.load_default(14)
    page = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + line + gap), "white")
    draw = ImageDraw.Draw(page)
    for index, (title, picture) in enumerate(pictures):
        x, y = gap + index % columns * (width + gap), gap + index // columns * (height + line + gap)
        draw.text((x, y), title, "black", font)
        page.paste(Image.fromarray(picture).resize((width, height), how), (x, y + line))
    x, y = gap, page.height - line
    for name, colour in legend.items():
        draw.rectangle((x, y, x + 14, y + 14), colour)
        draw.text((x + 20, y - 2), name, "black", font)
        x += 36 + round(draw.textlength(name, font))
    return page
