"""Which class was taken for which, where classes exclude each other: a table `seed,true,predicted,pixels`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from losslab.results import tables
from losslab.results.scores import Counts

COLUMNS = ("seed", "true", "predicted", "pixels")


def write(path: Path, classes: Sequence[str], pairs: Mapping[int, Counts]) -> None:
    """Write a row for each seed, true class and predicted class, from `pairs[seed]` `[C, C]`: known pixels of all test
    images."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for seed, table in pairs.items():
            for true, row in zip(classes, table.tolist(), strict=True):
                for predicted, pixels in zip(classes, row, strict=True):
                    yield seed, true, predicted, pixels

    tables.write(path, COLUMNS, rows())


def read(path: Path) -> tuple[tuple[str, ...], dict[int, Counts]]:
    """The classes, and each seed's table `[C, C]`: pixels of a class (row) that were taken for a class (column).

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    rows = tables.read(path, COLUMNS)
    seeds, classes, predicted = (list(dict.fromkeys(row[i] for row in rows)) for i in range(3))
    try:
        if predicted != classes or len(rows) != len(seeds) * len(classes) ** 2:
            raise ValueError("rows are missing or doubled")
        values = np.array([int(row[3]) for row in rows], np.int64).reshape(len(seeds), len(classes), len(classes))
        return tuple(classes), dict(zip(map(int, seeds), values, strict=True))
    except (ValueError, OverflowError) as error:
        raise tables.damaged(path, error) from None
