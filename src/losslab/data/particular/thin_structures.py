"""Thin branching structures over texture, noise and distractors: synthetic, drawn anew by a seed wherever it is used.

Two or three trees of dark branches, 1 to 3 pixels wide (`losslab.data.particular.trees`), whose contrast drifts along
them. In the image they have breaks of 3 to 6 pixels; in the truth they have none, so that a prediction that follows
what is to be seen is in pieces where the truth is one. Around them lie disks and broad straight bars, as dark as the
branches, and straight edges: none of these is truth. Nothing is fetched; the bytes depend on the settings alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, NonNegativeInt
from tqdm import tqdm

from losslab.data.dataset import Dataset
from losslab.data.extraction import Extracted, SplitImages, write_splits
from losslab.data.particular.trees import Floats, tree
from losslab.data.splits import SPLITS
from losslab.data.tensors import Array
from losslab.settings.schema import Count, NonNegative, Section, UnitInterval

CLASS = "structure"
TEXTURES = ((3, 0.10), (9, 0.16), (27, 0.20))  # pixels between two grains, and their share of the light either way


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the least is more than the most")
    return bounds


class Download(Section):
    """Nothing: all is drawn by `extract`."""


class Extract(Section):
    """How many images, and how hard they are."""

    image_size: Annotated[int, Field(ge=32, le=1024)] = 128
    """Pixels: the side."""
    train_images: Count
    val_images: Count
    test_images: Count
    contrast: Annotated[tuple[UnitInterval, UnitInterval], AfterValidator(_ordered)] = (0.15, 0.5)
    """Least and most share of the light that a branch takes."""
    breaks: NonNegative = 2.0
    """How many breaks a branch has in 100 pixels of its length, on average."""
    distractors: NonNegativeInt = 8
    """How many disks, bars and straight edges an image has."""
    noise: NonNegative = 16.0
    """Standard deviation in each channel, of 255."""
    seed: NonNegativeInt = 0


class ThinStructures(Dataset):
    """Drawings of branching thin structures. Image k of a split is the same however many there are."""

    TRAINING_IMAGES = ("extract", "train_images")

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        note = "There is nothing to fetch: these images are drawn by the stage `extract`.\n"
        (raw / "README.txt").write_text(note, encoding="utf-8")

    def write_tensors(self, raw: Path, out: Path) -> None:
        options = self.extract
        splits = {name: SplitImages("drawn", self._drawn(name, getattr(options, f"{name}_images"))) for name in SPLITS}
        account = {"synthetic": True, "source_images": sum(getattr(options, f"{name}_images") for name in SPLITS)}
        write_splits(out, "Thin structures (synthetic)", (CLASS,), splits, account)

    def _drawn(self, split: str, number: int) -> Iterator[Extracted]:
        for index in tqdm(range(number), unit="image", disable=None):
            random = np.random.default_rng([self.extract.seed, SPLITS.index(split), index])
            yield index, drawing(random, self.extract)


def drawing(random: np.random.Generator, options: Extract) -> tuple[Array, Array]:
    """One image uint8 `[3, S, S]` and its mask `[1, S, S]` of 0 and 1."""
    side = options.image_size
    truth, darkness = np.zeros((side, side), np.uint8), np.zeros((side, side))
    for _ in range(2 + int(2 * random.random())):
        for branch in tree(random, side, options.contrast, options.breaks):
            rows, columns, dark = branch.pixels(side)
            truth[rows, columns] = 1
            np.maximum.at(darkness, (rows, columns), dark)
    light = (1 - _blurred(darkness)) * _background(random, options)
    levels = [110 + 90 * random.random() for _ in range(3)]
    image = np.stack([level * light + options.noise * _noise(random, side) for level in levels])
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8), truth[None]


def _background(random: np.random.Generator, options: Extract) -> Floats:
    """The light `[S, S]`, about 1, of texture and distractors."""
    side = options.image_size
    light = np.ones((side, side))
    for cell, strength in TEXTURES:
        light *= 1 + strength * (2 * _grain(random, side, cell) - 1)
    rows, columns = np.arange(float(side))[:, None], np.arange(float(side))
    low, high = options.contrast
    for _ in range(options.distractors):
        kind, row, column, size, dark, tangent = random.random(6).tolist()
        down, right = rows - side * row, columns - side * column
        # How far a pixel lies from a straight line of any direction, times the length of that direction.
        across = down * (1 - tangent * tangent) + right * 2 * (2 * tangent - 1)
        length = np.sqrt((1 - tangent * tangent) ** 2 + 4 * (2 * tangent - 1) ** 2)
        if kind < 0.7:
            covered = down * down + right * right <= (1.5 + 4 * size) ** 2
        elif kind < 0.85:
            covered = np.abs(across) <= (2.5 + 4 * size) * length
        else:
            covered = across > 0
        light *= 1 - _blurred(covered * (low + (high - low) * dark) * (0.5 if kind >= 0.85 else 1.0))
    return light


def _grain(random: np.random.Generator, side: int, cell: int) -> Floats:
    """Values in [0, 1) on a grid, and between its lines what lies between them: `[S, S]`."""
    cells = side // cell + 2
    grain = random.random((cells, cells))
    places = np.arange(side)
    before, share = places // cell, places % cell / cell
    grain = grain[before] * (1 - share[:, None]) + grain[before + 1] * share[:, None]
    return grain[:, before] * (1 - share) + grain[:, before + 1] * share


def _noise(random: np.random.Generator, side: int) -> Floats:
    """Nearly normal, of standard deviation 1: a sum of four uniform numbers."""
    one, two, three, four = random.random((4, side, side))
    noise: Floats = (one + two + three + four - 2) * np.sqrt(3.0)
    return noise


def _blurred(values: Floats) -> Floats:
    """A quarter of each neighbour and half of the pixel itself, along both axes: the blur of a lens."""
    padded = np.pad(values, 1, mode="edge")
    along = (padded[:-2] + padded[2:]) / 4 + padded[1:-1] / 2
    return (along[:, :-2] + along[:, 2:]) / 4 + along[:, 1:-1] / 2
