"""What tuning tried, on disk: a table with one row for each epoch of a setting."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from losslab.errors import InputError
from losslab.files import atomic_file


class Setting(NamedTuple):
    """An optimiser, on so many training images, with a seed."""

    optimizer: str
    lr: float
    momentum: float | None
    """None for an optimiser without."""
    images: int
    seed: int

    def __str__(self) -> str:
        return f"lr {self.lr:g}" + ("" if self.momentum is None else f", momentum {self.momentum:g}")


def write(path: Path, curves: Mapping[Setting, Sequence[float]]) -> None:
    """Write each setting's validation loss after every epoch."""
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*Setting._fields, "epoch", "val_loss"))
        for setting, values in curves.items():
            writer.writerows((*setting, epoch, f"{value:.9g}") for epoch, value in enumerate(values, start=1))


def read(path: Path) -> dict[Setting, list[float]]:
    """The validation losses of each setting, in the order in which they were tried.

    Raises:
        InputError: the file is not such a table.
    """
    curves: dict[Setting, list[float]] = {}
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                momentum = float(row["momentum"]) if row["momentum"] else None
                images, seed = int(row["images"]), int(row["seed"])
                setting = Setting(row["optimizer"], float(row["lr"]), momentum, images, seed)
                curves.setdefault(setting, []).append(float(row["val_loss"]))
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of `python -m losslab tune` ({error}); remove it") from None
    return curves
