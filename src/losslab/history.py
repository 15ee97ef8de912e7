"""The history of a run: a tidy table `seed,epoch,step,split,metric,value`, one row a number."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from losslab.errors import InputError
from losslab.files import atomic_file


class Row(NamedTuple):
    """One number. `step` counts optimiser steps from 1; `split` is train or val; a `diverged` row ends a failed run."""

    seed: int
    epoch: int
    step: int
    split: str
    metric: str
    value: float


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the table; values with nine digits, which is all that a float32 holds."""
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows((*row[:-1], f"{row.value:.9g}") for row in rows)


def read(path: Path) -> list[Row]:
    """Read the table.

    Raises:
        InputError: the file is missing or is not such a table.
    """
    try:
        with path.open(newline="") as file:
            return [
                Row(
                    int(r["seed"]),
                    int(r["epoch"]),
                    int(r["step"]),
                    r["split"],
                    r["metric"],
                    float(r["value"]),
                )
                for r in csv.DictReader(file)
            ]
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a history table ({error}); remove it and run `dvc repro`") from None


def diverged_step(rows: Iterable[Row], seed: int) -> int | None:
    """The step at which the run of `seed` diverged, or none."""
    return next((row.step for row in rows if row.seed == seed and row.metric == "diverged"), None)
