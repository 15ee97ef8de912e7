"""The scores of one loss: a table `seed,image,class,threshold,tp,fp,fn,tn` of pixel counts, and arrays made from it."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from losslab.errors import InputError
from losslab.files import atomic_file
from losslab.metrics import COUNTS

Counts = NDArray[np.int64]
FIELDS = ("seed", "image", "class", "threshold", *COUNTS)
THRESHOLDS = ("fixed", "tuned")


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
    images, classes = list(images), list(classes)
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for seed, by_threshold in counts.items():
            for threshold in THRESHOLDS:
                table = by_threshold[threshold].tolist()
                writer.writerows(
                    (seed, image, name, threshold, *table[i][c])
                    for i, image in enumerate(images)
                    for c, name in enumerate(classes)
                )


def read(path: Path) -> Scores:
    """Read the table back into arrays.

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    try:
        with path.open(newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != FIELDS:
                raise InputError(f"{path}: not a table of scores; remove it and run `dvc repro`")
            rows = list(reader)
        seeds, images, classes = (list(dict.fromkeys(row[i] for row in rows)) for i in range(3))
        values = np.array([row[4:] for row in rows], np.int64).reshape(
            len(seeds), len(THRESHOLDS), len(images), len(classes), len(COUNTS)
        )
        numbers = tuple(map(int, seeds))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (ValueError, IndexError, OverflowError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None
    counts = {threshold: values[:, i] for i, threshold in enumerate(THRESHOLDS)}
    return Scores(numbers, tuple(images), tuple(classes), counts)
