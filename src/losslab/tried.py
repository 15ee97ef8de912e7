"""What tuning tried, on disk: a table `lr,momentum,epoch,val_loss`, one row for each epoch of a setting."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from losslab.errors import InputError
from losslab.files import atomic_file

FIELDS = ("lr", "momentum", "epoch", "val_loss")


def label(lr: float, momentum: float) -> str:
    """A setting in words."""
    return f"lr {lr:g}, momentum {momentum:g}"


def write(path: Path, curves: Mapping[tuple[float, float], Sequence[float]]) -> None:
    """Write the validation loss after each epoch, by learning rate and momentum."""
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for setting, values in curves.items():
            writer.writerows((*setting, epoch, f"{value:.9g}") for epoch, value in enumerate(values, start=1))


def read(path: Path) -> dict[str, list[float]]:
    """The curves by their labels, in the order in which they were tried.

    Raises:
        InputError: the file is not such a table.
    """
    curves: dict[str, list[float]] = {}
    try:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                setting = label(float(row["lr"]), float(row["momentum"]))
                curves.setdefault(setting, []).append(float(row["val_loss"]))
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of `python -m losslab tune` ({error}); remove it") from None
    return curves
