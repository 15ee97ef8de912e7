"""Small images with a mask file each, as Carvana has them."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24


def shape(index: int) -> np.ndarray:
    """A mask of 0 and 1: a block of 12×9 whose corner depends on the index."""
    mask = np.zeros((SIDE, SIDE + 6), np.uint8)
    mask[index % 7 : index % 7 + 12, 3 + index % 5 : 12 + index % 5] = 1
    return mask


def photo(index: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(index).integers(0, 255, (SIDE, SIDE + 6, 3), np.uint8))


def palette_image(indices: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([channel for colour in colours for channel in colour])
    return image


def carvana(folder: Path, count: int = 12) -> Path:
    """The layout and formats of Carvana: JPEG photographs, GIF masks of black and white."""
    for part in ("train", "train_masks"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        photo(index).save(folder / f"train/{index:03}_01.jpg")
        palette_image(shape(index), (0, 0, 0), (255, 255, 255)).save(folder / f"train_masks/{index:03}_01_mask.gif")
    return folder
