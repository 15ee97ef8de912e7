"""The boundaries of one loss: a table `seed,image,class,threshold,predicted,predicted_near,true,true_near,hd95`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from losslab.results import scores

COLUMNS = ("predicted", "predicted_near", "true", "true_near", "hd95")


@dataclass(frozen=True)
class Boundaries:
    """Numbers of boundary pixels and Hausdorff 95, `[S, N, C, 5]` in the order of `COLUMNS`, per threshold rule."""

    seeds: tuple[int, ...]
    images: tuple[str, ...]
    classes: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]


def write(
    path: Path, images: Iterable[str], classes: Iterable[str], values: Mapping[int, Mapping[str, NDArray[np.float64]]]
) -> None:
    """Write the table `seed,image,class,threshold,predicted,predicted_near,true,true_near,hd95`."""
    scores.write_table(path, COLUMNS, images, classes, values)


def read(path: Path) -> Boundaries:
    """Read the table back.

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    return Boundaries(*scores.read_table(path, COLUMNS, np.float64))
