"""Images and masks: overlays on the photograph, and grids that set losses side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from losslab.report.figures.style import FALSE, MISSED, PALETTE, RIGHT, new_figure, save, styled

Bytes = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Colour = tuple[float, ...]


@styled
def outcome_grid(images: Bytes, truth: Masks, predicted: Mapping[str, Masks], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]`, truth `[N, C, H, W]`, and each loss's prediction of the same shape with
    right, missed and false pixels coloured. `names` stand at the left of the rows."""
    columns = {"input": [_picture(image) for image in images]}
    columns["truth"] = [outcome_overlay(picture, t, t) for picture, t in zip(columns["input"], truth, strict=True)]
    for loss, masks in predicted.items():
        rows = zip(columns["input"], truth, masks, strict=True)
        columns[loss] = [outcome_overlay(picture, t, p) for picture, t, p in rows]
    return _grid(columns, names, {"right": RIGHT, "missed": MISSED, "false": FALSE})


@styled
def example_grid(images: Bytes, truth: Masks, classes: Sequence[str], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]` and truth `[N, C, H, W]` in its classes' colours over the photograph."""
    pictures = [_picture(image) for image in images]
    painted = [class_overlay(picture, mask) for picture, mask in zip(pictures, truth, strict=True)]
    shown = {name: _class_colour(c) for c, name in enumerate(classes) if truth[:, c].any()}
    return _grid({"input": pictures, "truth": painted}, names, shown, sideways=True)


def prediction_grid(
    path: Path, images: Bytes, truth: Masks, predicted: Mapping[str, Masks], names: Sequence[str]
) -> None:
    """Draw `outcome_grid` into a file."""
    save(outcome_grid(images, truth, predicted, names), path)


def outcome_overlay(picture: Bytes, truth: Masks, predicted: Masks) -> Bytes:
    """`[H, W, 3]`: the grey picture with right, missed and false pixels coloured; where classes differ, errors win."""
    painted: Bytes = (picture.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.35 + 90).astype(np.uint8)
    right, missed, false = (truth & predicted).any(0), (truth & ~predicted).any(0), (~truth & predicted).any(0)
    for mask, colour in ((right, RIGHT), (missed, MISSED), (false, FALSE)):
        painted[mask] = colour
    return painted


def class_overlay(picture: Bytes, masks: Masks) -> Bytes:
    """`[H, W, 3]`: the photograph with each plane of `[C, H, W]` as a translucent colour and a full outline."""
    painted = picture.astype(np.float64)
    for c, mask in enumerate(masks):
        colour = 255 * np.array(_class_colour(c))
        painted[mask] = 0.45 * painted[mask] + 0.55 * colour
        painted[mask & ~_inner(mask)] = colour
    return painted.astype(np.uint8)


def _inner(mask: Masks) -> Masks:
    """Pixels of `[H, W]` whose four neighbours are in the mask too."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def _class_colour(c: int) -> Colour:
    return to_rgb(PALETTE[c % len(PALETTE)])


def _picture(image: Bytes) -> Bytes:
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def _grid(
    columns: Mapping[str, Sequence[Bytes]],
    names: Sequence[str],
    legend: Mapping[str, Colour | tuple[int, ...]],
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
    patches = [Patch(color=np.divide(c, 255 if max(c) > 1 else 1).tolist(), label=word) for word, c in legend.items()]
    if patches:
        figure.legend(handles=patches, loc="lower center", ncols=min(6, len(patches)), handlelength=1)
    return figure
