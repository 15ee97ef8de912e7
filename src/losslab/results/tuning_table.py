"""What tuning tried, on disk: a table with one row for each epoch of a setting."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from losslab.errors import InputError
from losslab.results import tables


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


COLUMNS = (*Setting._fields, "epoch", "val_loss")


def write(path: Path, curves: Mapping[Setting, Sequence[float]]) -> None:
    """Write each setting's validation loss after every epoch."""
    rows = (
        (*setting, epoch, f"{value:.9g}")
        for setting, values in curves.items()
        for epoch, value in enumerate(values, start=1)
    )
    tables.write(path, COLUMNS, rows)


def read(path: Path) -> dict[Setting, list[float]]:
    """The validation losses of each setting, in the order in which they were tried.

    Raises:
        InputError: the file is not such a table.
    """
    curves: dict[Setting, list[float]] = {}
    try:
        for optimizer, lr, momentum, images, seed, _, value in tables.read(path, COLUMNS):
            setting = Setting(optimizer, float(lr), float(momentum) if momentum else None, int(images), int(seed))
            curves.setdefault(setting, []).append(float(value))
    except ValueError as error:
        raise InputError(f"{path}: not a table of `losslab tune` ({error}); remove it") from None
    return curves
