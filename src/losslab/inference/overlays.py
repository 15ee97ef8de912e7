"""Classes as pictures: the project's colours, masks with a palette, and overlays on photographs.

In go photographs, uint8 `[H, W, 3]`, and class numbers, uint8 `[H, W]`: from 1 in the order of the classes, 0 for none.
"""

import colorsys
from collections.abc import Mapping, Sequence

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

RIGHT, MISSED, FALSE = GREEN, ORANGE, (204, 40, 120)
"""Pixels that are predicted and true, true alone, and predicted alone."""

PER_ROW = 4
"""Pictures side by side."""


def class_colours(count: int) -> list[RGB]:
    """One for each class: Okabe and Ito's, then hues as far apart as can be."""
    colours = list(OKABE_ITO)
    for index in range(len(colours), count):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.55 + 0.3 * (index % 2), 0.95)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colours[:count]


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
