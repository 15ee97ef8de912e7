"""Images and masks: overlays on the photograph, and grids that set losses side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from losslab.inference.overlays import FALSE, MISSED, ON_PAPER, RGB, RIGHT, Pixels, overlay
from losslab.report.figures.style import new_figure, save, styled

Masks = NDArray[np.bool_]


@styled
def outcome_grid(images: Pixels, truth: Masks, predicted: Mapping[str, Masks], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]`, truth `[N, C, H, W]`, and each loss's prediction of the same shape with
    right, missed and false pixels coloured. `names` stand at the left of the rows."""
    columns = {"input": [_picture(image) for image in images]}
    columns["truth"] = [outcome_overlay(picture, t, t) for picture, t in zip(columns["input"], truth, strict=True)]
    for loss, masks in predicted.items():
        rows = zip(columns["input"], truth, masks, strict=True)
        columns[loss] = [outcome_overlay(picture, t, p) for picture, t, p in rows]
    return _grid(columns, names, {"right": RIGHT, "missed": MISSED, "false": FALSE})


@styled
def example_grid(images: Pixels, truth: Masks, classes: Sequence[str], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]` and truth `[N, C, H, W]` in its classes' colours over the photograph."""
    pictures = [_picture(image) for image in images]
    painted = [class_overlay(picture, mask) for picture, mask in zip(pictures, truth, strict=True)]
    shown = {name: _class_colour(c) for c, name in enumerate(classes) if truth[:, c].any()}
    return _grid({"input": pictures, "truth": painted}, names, shown, sideways=True)


def prediction_grid(
    path: Path, images: Pixels, truth: Masks, predicted: Mapping[str, Masks], names: Sequence[str]
) -> None:
    """Draw `outcome_grid` into a file."""
    save(outcome_grid(images, truth, predicted, names), path)


def outcome_overlay(picture: Pixels, truth: Masks, predicted: Masks) -> Pixels:
    """`[H, W, 3]`: the grey picture with right, missed and false pixels coloured; where classes differ, errors win."""
    painted: Pixels = (picture.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.35 + 90).astype(np.uint8)
    right, missed, false = (truth & predicted).any(0), (truth & ~predicted).any(0), (~truth & predicted).any(0)
    for mask, colour in ((right, RIGHT), (missed, MISSED), (false, FALSE)):
        painted[mask] = colour
    return painted


def class_overlay(picture: Pixels, masks: Masks) -> Pixels:
    """`[H, W, 3]`: the photograph with the planes of `[C, H, W]` in their classes' colours; of two, the later."""
    numbers = np.arange(1, len(masks) + 1, dtype=np.uint8)[:, None, None]
    return overlay(picture, (masks * numbers).max(axis=0), [_class_colour(c) for c in range(len(masks))])


def _class_colour(c: int) -> RGB:
    return ON_PAPER[c % len(ON_PAPER)]


def _picture(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def _grid(
    columns: Mapping[str, Sequence[Pixels]],
    names: Sequence[str],
    legend: Mapping[str, RGB],
    sideways: bool = False,
) -> Figure:
    """Cells with a title a column and a name a row; sideways: a title a row and a name a column."""
    across, down = (len(names), len(columns)) if sideways else (len(columns), len(names))
    cell, gap, left, top, bottom = 1.0, 0.05, 0.3, 0.25, 0.35  # inches
    width, height = left + across * (cell + gap), top + down * (cell + gap) + bottom
    # Every place is known, so no layout is sought; and one axes in inches, since many take long.
    figure = new_figure(width, height, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for i, (title, cells) in enumerate(columns.items()):
        for j, (name, picture) in enumerate(zip(names, cells, strict=True)):
            column, row = (j, i) if sideways else (i, j)
            x, y = left + column * (cell + gap), bottom + (down - 1 - row) * (cell + gap)
            axes.imshow(picture, interpolation="none", extent=(x, x + cell, y, y + cell))
            above, beside = (name, title) if sideways else (title, name)
            if row == 0:
                axes.text(x + cell / 2, y + cell + 0.06, above, ha="center", fontsize=9)
            if column == 0:
                axes.text(x - 0.05, y + cell / 2, beside, rotation=90, ha="right", va="center", fontsize=9)
    axes.set(xlim=(0, width), ylim=(0, height))
    patches = [Patch(color=np.divide(colour, 255).tolist(), label=word) for word, colour in legend.items()]
    if patches:
        figure.legend(handles=patches, loc="lower center", ncols=min(6, len(patches)), handlelength=1)
    return figure
