"""Images and masks: overlays on the photograph, and grids that set losses side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from losslab.data.tensors import VOID
from losslab.inference.overlays import FALSE, MISSED, RGB, RIGHT, Pixels, class_colours, overlay
from losslab.report.figures.style import new_figure, save, styled

Masks = NDArray[np.bool_]
STRIPE = (225, 225, 225)


@styled
def outcome_grid(images: Pixels, truth: Pixels, predicted: Mapping[str, Masks], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]`, truth `[N, C, H, W]` of 0, 1 and 255, and each loss's prediction of that
    shape with right, missed and false pixels coloured, unknown ones hatched. `names` stand at the left of the rows."""
    columns = {"input": [_picture(image) for image in images]}
    columns["truth"] = [outcome_overlay(picture, t, t == 1) for picture, t in zip(columns["input"], truth, strict=True)]
    for loss, masks in predicted.items():
        rows = zip(columns["input"], truth, masks, strict=True)
        columns[loss] = [outcome_overlay(picture, t, p) for picture, t, p in rows]
    return _grid(columns, names, {"right": RIGHT, "missed": MISSED, "false": FALSE} | _unknown(truth))


@styled
def example_grid(images: Pixels, truth: Pixels, classes: Sequence[str], names: Sequence[str]) -> Figure:
    """One row an image: input `[N, 3, H, W]` and truth `[N, C, H, W]` of 0, 1 and 255 in its classes' colours over the
    photograph, hatched where it is unknown."""
    pictures = [_picture(image) for image in images]
    painted = [class_overlay(picture, mask) for picture, mask in zip(pictures, truth, strict=True)]
    colours = dict(zip(classes, class_colours(len(classes)), strict=True))
    shown = {name: colours[name] for c, name in enumerate(classes) if (truth[:, c] == 1).any()}
    return _grid({"input": pictures, "truth": painted}, names, shown | _unknown(truth), sideways=True)


def prediction_grid(
    path: Path, images: Pixels, truth: Pixels, predicted: Mapping[str, Masks], names: Sequence[str]
) -> None:
    """Draw `outcome_grid` into a file."""
    save(outcome_grid(images, truth, predicted, names), path)


def outcome_overlay(picture: Pixels, truth: Pixels, predicted: Masks) -> Pixels:
    """`[H, W, 3]`: the grey picture with right, missed and false pixels coloured; where classes differ, errors win.
    Hatched where truth is 255 and nothing else is to be seen."""
    painted: Pixels = (picture.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.35 + 90).astype(np.uint8)
    painted[_hatched(truth)] = STRIPE
    true, not_true = truth == 1, truth == 0
    right, missed, false = (true & predicted).any(0), (true & ~predicted).any(0), (not_true & predicted).any(0)
    for mask, colour in ((right, RIGHT), (missed, MISSED), (false, FALSE)):
        painted[mask] = colour
    return painted


def class_overlay(picture: Pixels, masks: Pixels) -> Pixels:
    """`[H, W, 3]`: the photograph with the planes of `[C, H, W]` in their classes' colours; of two, the later. Hatched
    where a plane is 255 and none is 1."""
    numbers = np.arange(1, len(masks) + 1, dtype=np.uint8)[:, None, None]
    present = masks == 1
    shown = overlay(picture, (present * numbers).max(axis=0), class_colours(len(masks)))
    shown[_hatched(masks) & ~present.any(axis=0)] = STRIPE
    return shown


def _unknown(truth: Pixels) -> dict[str, RGB]:
    """What the hatching means, if there is any."""
    return {"unknown": STRIPE} if (truth == VOID).any() else {}


def _hatched(masks: Pixels) -> Masks:
    """Every second diagonal of what is unknown in a plane of `[C, H, W]`."""
    rows, columns = np.indices(masks.shape[1:])
    stripes: Masks = (masks == VOID).any(axis=0) & ((rows + columns) % 4 < 2)
    return stripes


def _picture(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image.transpose(1, 2, 0))


def _grid(
    columns: Mapping[str, Sequence[Pixels]], names: Sequence[str], legend: Mapping[str, RGB], sideways: bool = False
) -> Figure:
    """Cells with a title a column and a name a row; sideways: a title a row and a name a column."""
    pictures = np.array(list(columns.values()))  # [titles, names, H, W, 3]
    above, beside = (names, list(columns)) if sideways else (list(columns), names)
    rows = pictures if sideways else pictures.swapaxes(0, 1)
    step, left, top, bottom = 1.05, 0.3, 0.25, 0.35  # inches; a step is a cell of 1 and the gap behind it
    right, upper = left + len(above) * step, bottom + len(beside) * step
    # Every place is known, so no layout is sought; and one picture, clear in its gaps, since many take long.
    figure = new_figure(right, upper + top, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    gaps = [(0, max(1, round(0.05 * side))) for side in rows.shape[2:4]]
    opaque = np.concatenate([rows, np.full_like(rows[..., :1], 255)], axis=-1)
    tiles = np.pad(opaque, [(0, 0), (0, 0), *gaps, (0, 0)]).swapaxes(1, 2)
    axes.imshow(
        tiles.reshape(-1, len(above) * tiles.shape[3], 4), interpolation="none", extent=(left, right, bottom, upper)
    )
    for column, text in enumerate(above):
        axes.text(left + column * step + 0.5, upper + 0.06, text, ha="center", fontsize=9)
    for row, text in enumerate(beside):
        axes.text(left - 0.05, upper - row * step - 0.5, text, rotation=90, ha="right", va="center", fontsize=9)
    axes.set(xlim=(0, right), ylim=(0, upper + top))
    patches = [Patch(color=np.divide(colour, 255).tolist(), label=word) for word, colour in legend.items()]
    if patches:
        figure.legend(handles=patches, loc="lower center", ncols=min(6, len(patches)), handlelength=1)
    return figure
