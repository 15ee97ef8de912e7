"""The scores of one loss: a table `seed,image,class,threshold,tp,fp,fn,tn` of pixel counts, and arrays made from it;
where classes exclude each other also a table `seed,true,predicted,pixels` of which was taken for which."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from losslab.errors import InputError
from losslab.results import tables

Counts = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)
COUNTS = ("tp", "fp", "fn", "tn")
"""Pixels: true and false positives, false and true negatives."""
CONFUSION = ("seed", "true", "predicted", "pixels")
INDEX = ("seed", "image", "class", "threshold")
THRESHOLDS = ("fixed", "tuned")
"""How probabilities become masks where classes may overlap: by comparing them with two thresholds."""
ARGMAX = "argmax"
"""And where classes exclude each other: a pixel is of its most probable class."""
RULES = (THRESHOLDS, (ARGMAX,))
"""The rules that a table has, all of one or all of the other."""
EXTRAS = {
    "cl_dice": ("predicted", "predicted_inside", "true", "true_inside"),
    "components": ("predicted", "predicted_right", "true", "true_hit"),
    "betti": ("predicted_components", "predicted_holes", "true_components", "true_holes"),
    "calibration": (*(f"gap_{number}" for number in range(1, 16)), "squared_error"),
}
"""What `evaluate.metrics` may name → the columns of the table of this name, which is there if it does."""


@dataclass(frozen=True)
class Scores:
    """Counts `[S, N, C, 4]` (tp, fp, fn, tn) per threshold rule; S seeds that did not diverge, N images, C classes."""

    seeds: tuple[int, ...]
    images: tuple[str, ...]
    classes: tuple[str, ...]
    counts: dict[str, Counts]


def write(
    path: Path, images: Iterable[str], classes: Iterable[str], counts: Mapping[int, Mapping[str, Counts]]
) -> None:
    """Write the table from `counts[seed][threshold rule]`, each `[N, C, 4]`."""
    write_table(path, COUNTS, images, classes, counts)


def read(path: Path) -> Scores:
    """Read the table back into arrays.

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    return Scores(*read_table(path, COUNTS, np.int64))


def write_table(
    path: Path,
    columns: Sequence[str],
    images: Iterable[str],
    classes: Iterable[str],
    values: Mapping[int, Mapping[str, NDArray[Any]]],
) -> None:
    """Write a row per seed, threshold rule, image and class from `values[seed][threshold rule]`, each `[N, C, K]`.

    Seven digits of what is not an integer.
    """
    images, classes = list(images), list(classes)

    def rows() -> Iterator[tuple[Any, ...]]:
        for seed, by_threshold in values.items():
            for threshold, array in by_threshold.items():
                numbers = array.reshape(-1, len(columns)).tolist()
                if array.dtype.kind == "f":
                    numbers = [[f"{value:.7g}" for value in row] for row in numbers]
                for (image, name), row in zip(product(images, classes), numbers, strict=True):
                    yield seed, image, name, threshold, *row

    tables.write(path, (*INDEX, *columns), rows())


def read_table(
    path: Path, columns: Sequence[str], kind: type[Number]
) -> tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...], dict[str, NDArray[Number]]]:
    """Seeds, images, classes, and `[S, N, C, K]` per threshold rule.

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    rows = tables.read(path, (*INDEX, *columns))
    seeds, images, classes, rules = (list(dict.fromkeys(row[i] for row in rows)) for i in range(4))
    rules = rules or list(THRESHOLDS)
    try:
        if tuple(rules) not in RULES:
            raise ValueError(f"its thresholds are {', '.join(rules)}")
        wanted = product(seeds, rules, images, classes)
        if any(
            (s, t, i, c) != (row[0], row[3], row[1], row[2]) for (s, t, i, c), row in zip(wanted, rows, strict=True)
        ):
            raise ValueError("rows are missing, doubled or out of order")
        number = int if kind is np.int64 else float
        numbers = chain.from_iterable(row[len(INDEX) :] for row in rows)
        values = np.fromiter(map(number, numbers), kind).reshape(
            len(seeds), len(rules), len(images), len(classes), len(columns)
        )
        numbers_of_seeds = tuple(map(int, seeds))
    except (ValueError, OverflowError) as error:
        raise tables.damaged(path, error) from None
    by_threshold = {threshold: values[:, i] for i, threshold in enumerate(rules)}
    return numbers_of_seeds, tuple(images), tuple(classes), by_threshold


def read_extras(folder: Path, table: Scores) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The tables of `EXTRAS` beside the scores of one loss, as many as there are: name → threshold rule → `[S, N, C,
    K]`.

    Raises:
        InputError: one is not such a table, lacks rows, or does not belong to the scores.
    """
    extras = {}
    for path, name in ((folder / f"{name}.csv", name) for name in EXTRAS):
        if path.is_file():
            *scored, extras[name] = read_table(path, EXTRAS[name], np.float64)
            if tuple(scored) != (table.seeds, table.images, table.classes):
                raise InputError(f"{path}: not of the seeds and images of the scores; remove it and run `dvc repro`")
    return extras


def write_confusion(path: Path, classes: Sequence[str], pairs: Mapping[int, Counts]) -> None:
    """Write a row for each seed, true class and predicted class, from `pairs[seed]` `[C, C]`: known pixels of all test
    images."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for seed, table in pairs.items():
            for true, row in zip(classes, table.tolist(), strict=True):
                for predicted, pixels in zip(classes, row, strict=True):
                    yield seed, true, predicted, pixels

    tables.write(path, CONFUSION, rows())


def read_confusion(path: Path) -> tuple[tuple[str, ...], dict[int, Counts]]:
    """The classes, and each seed's table `[C, C]`: pixels of a class (row) that were taken for a class (column).

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    rows = tables.read(path, CONFUSION)
    seeds, classes, predicted = (list(dict.fromkeys(row[i] for row in rows)) for i in range(3))
    try:
        if predicted != classes or len(rows) != len(seeds) * len(classes) ** 2:
            raise ValueError("rows are missing or doubled")
        values = np.array([int(row[3]) for row in rows], np.int64).reshape(len(seeds), len(classes), len(classes))
        return tuple(classes), dict(zip(map(int, seeds), values, strict=True))
    except (ValueError, OverflowError) as error:
        raise tables.damaged(path, error) from None
