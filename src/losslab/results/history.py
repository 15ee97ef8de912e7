"""The history of a run: a tidy table `seed,epoch,step,split,metric,value`, one row a number."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from losslab.results import tables


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
    tables.write(path, Row._fields, ((*row[:-1], f"{row.value:.9g}") for row in rows))


def read(path: Path) -> list[Row]:
    """Read the table.

    Raises:
        InputError: the file is missing or is not such a table.
    """
    rows = tables.read(path, Row._fields)
    try:
        return [
            Row(int(seed), int(epoch), int(step), split, metric, float(value))
            for seed, epoch, step, split, metric, value in rows
        ]
    except ValueError as error:
        raise tables.damaged(path, error) from None


JUDGED_BY = ("miou_tuned", "miou_argmax")
"""Validation mIoU by the rule that ranks: at the tuned threshold or, where classes exclude each other, of the most
probable class. A history has one of the two."""


def diverged_step(rows: Iterable[Row], seed: int) -> int | None:
    """The step at which the run of `seed` diverged, or none."""
    return next((row.step for row in rows if row.seed == seed and row.metric == "diverged"), None)
