"""What the stage `tune` leaves in `results/tune/<cell>`: what it tried, and what is to be used for training.

`trials.csv` has a row for each trial and seed, `curves.csv` the validation after every epoch, `chosen.json` the
settings that take the place of those in params.yaml: `{}` where nothing was tried, or all of it diverged.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import ValidationError

from losslab.errors import InputError
from losslab.results import paths, tables
from losslab.results.files import write_json
from losslab.settings.params import Train
from losslab.settings.plans import TrainPlan

P = TypeVar("P", bound=TrainPlan)
TRIALS, CURVES, CHOSEN = "trials.csv", "curves.csv", "chosen.json"


class Tried(NamedTuple):
    """One training: a trial's settings and a seed. `momentum` is none for an optimiser without, `val_miou` (0 to 1, of
    the weights that are kept, at the tuned threshold) where it diverged; `options` are the loss's, as JSON."""

    trial: int
    optimizer: str
    lr: float
    momentum: float | None
    weight_decay: float
    options: str
    seed: int
    val_miou: float | None


class Point(NamedTuple):
    """Validation after one epoch: the metric is `loss`, or one of `history.JUDGED_BY`."""

    trial: int
    seed: int
    epoch: int
    metric: str
    value: float


@dataclass(frozen=True)
class Tuning:
    """All that was tried for one loss, in order; which trial was chosen, and which had the settings of params.yaml."""

    tried: list[Tried]
    curves: list[Point]
    chosen: int | None
    """None where all diverged."""
    untuned: int | None
    """None where those settings were not among what was tried."""

    @property
    def scores(self) -> dict[int, float]:
        """Trial → mean validation mIoU over its seeds, 0 for one that diverged."""
        return scores(self.tried)

    def label(self, trial: int) -> str:
        """What sets a trial apart from the others, in words."""
        settings = {row.trial: _settings(row) for row in self.tried}
        varied = [key for key in settings[trial] if len({str(each.get(key)) for each in settings.values()}) > 1]
        return ", ".join(f"{key} {settings[trial][key]:g}" for key in varied or ["lr"])


def _settings(row: Tried) -> dict[str, float]:
    momentum = {} if row.momentum is None else {"momentum": row.momentum}
    return {"lr": row.lr, **momentum, "weight decay": row.weight_decay, **json.loads(row.options)}


def scores(tried: Sequence[Tried]) -> dict[int, float]:
    """Trial → mean validation mIoU over its seeds, 0 for one that diverged."""
    values: dict[int, list[float]] = {}
    for row in tried:
        values.setdefault(row.trial, []).append(row.val_miou or 0.0)
    return {trial: float(np.mean(each)) for trial, each in values.items()}


def write(folder: Path, tried: Sequence[Tried], curves: Sequence[Point], chosen: Mapping[str, Any]) -> None:
    """Write the three files."""
    tables.write(folder / TRIALS, Tried._fields, tried)
    tables.write(folder / CURVES, Point._fields, ((*point[:-1], f"{point.value:.9g}") for point in curves))
    write_json(folder / CHOSEN, dict(chosen))


def read(folder: Path) -> Tuning | None:
    """What was tried; none where nothing was.

    Raises:
        InputError: a file is missing or damaged.
    """
    chosen = _chosen(folder)
    if not (folder / TRIALS).is_file():
        return None
    try:
        tried = [
            Tried(int(trial), kind, float(lr), float(momentum) if momentum else None, float(decay), options, int(seed),
                  float(miou) if miou else None)
            for trial, kind, lr, momentum, decay, options, seed, miou in tables.read(folder / TRIALS, Tried._fields)
        ]  # fmt: skip
        curves = [
            Point(int(trial), int(seed), int(epoch), metric, float(value))
            for trial, seed, epoch, metric, value in tables.read(folder / CURVES, Point._fields)
        ]
        return Tuning(tried, curves, chosen.get("trial"), chosen.get("untuned"))
    except ValueError as error:
        raise tables.damaged(folder / TRIALS, error) from None


def tuned(plan: P) -> P:
    """The plan of a training with the settings that tuning chose, if it is to have some.

    Raises:
        InputError: what tuning leaves is missing or damaged.
    """
    if not plan.tuned:
        return plan
    folder = paths.TUNE / plan.cell.path
    chosen = _chosen(folder)
    try:
        optimizer = plan.train.optimizer.model_dump() | chosen.get("optimizer", {})
        train = Train.model_validate(plan.train.model_dump() | {"optimizer": optimizer})
        loss_spec = plan.loss_spec | chosen.get("loss", {})
    except (ValidationError, TypeError) as error:
        raise tables.damaged(folder / CHOSEN, " ".join(str(error).split())[:200]) from None
    return plan.model_copy(update={"train": train, "loss_spec": loss_spec, "tuned": False})


def _chosen(folder: Path) -> dict[str, Any]:
    path = folder / CHOSEN
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (ValueError, TypeError) as error:
        raise tables.damaged(path, error) from None
