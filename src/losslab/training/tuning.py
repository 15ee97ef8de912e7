"""Staged tuning: the learning rate first, then SGD's momentum at the best rate, by the lowest validation loss.

`losslab tune DATASET NETWORK LOSS --lr 0.001 0.01 0.1 --momentum 0.5 0.9` trains as planned, first with the momentum of
params.yaml at every rate, then with every momentum at the best of them. It reads the tensors that `dvc repro extract`
makes, never the test set, and leaves `results/tuning/DATASET/NETWORK/LOSS.csv`, whose curves the report shows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from losslab import networks
from losslab.data import tensors
from losslab.errors import InputError
from losslab.inference import devices
from losslab.results import paths, tuning_table
from losslab.settings.params import SGD, AdamW
from losslab.settings.plans import TrainPlan
from losslab.training.loop import Progress, train
from losslab.training.seeds import loss_for, prepared

MOMENTA = (0.5, 0.9)
"""What is tried where nothing else is asked for."""

Optimizer = AdamW | SGD
EpochLosses = list[float]
"""Validation loss after each epoch; it ends early where the run diverged."""


def tune(
    curve: Callable[[Optimizer], EpochLosses], start: Optimizer, rates: Sequence[float], momenta: Sequence[float]
) -> tuple[Optimizer, dict[Optimizer, EpochLosses]]:
    """The best settings and the curves of all that were tried, in order; of equals the first is best.

    Args:
        momenta: none where `start` has no momentum.

    Raises:
        InputError: every learning rate diverged.
    """
    curves: dict[Optimizer, EpochLosses] = {}

    def best(candidates: Sequence[Optimizer]) -> Optimizer:
        for candidate in candidates:
            if candidate not in curves:
                curves[candidate] = curve(candidate)
        return min(candidates, key=lambda candidate: min(curves[candidate], default=math.inf))

    at_rate = best([start.model_copy(update={"lr": rate}) for rate in rates])
    if not curves[at_rate]:
        raise InputError("--lr: every rate diverged in its first epoch; try lower ones")
    return best([at_rate, *(at_rate.model_copy(update={"momentum": momentum}) for momentum in momenta)]), curves


def validation_losses(plan: TrainPlan, splits: Mapping[str, tensors.Split]) -> Callable[[Optimizer], EpochLosses]:
    """A function that trains with an optimiser, the first of `train.seeds` and all else as planned."""
    device = devices.prepare(plan.train)
    dtype = devices.compute_dtype(plan.train.precision, plan.cpu_precision, device)
    data = prepared(splits["train"], splits["val"], plan.train, device)
    classes = len(splits["train"].classes)
    network = partial(networks.registry.build, plan.network_spec, in_channels=3, classes=classes)
    loss = loss_for(splits["train"], plan.loss_spec)

    def curve(optimizer: Optimizer) -> EpochLosses:
        progress, label = Progress(), name(optimizer)
        settings = plan.train.model_copy(update={"optimizer": optimizer})
        train(network, loss, data, settings, plan.train.seeds[0], dtype, progress, lambda _: None, label)
        values = [row.value for row in progress.rows if (row.split, row.metric) == ("val", "loss")]
        print(f"{label}: " + (f"lowest validation loss {min(values):.4g}" if values else "diverged"), flush=True)
        return values

    return curve


def run(plan: TrainPlan, rates: Sequence[float], momenta: Sequence[float] | None) -> dict[str, EpochLosses]:
    """Tune, say what is best, and write the table; the curves by what was tried.

    Args:
        momenta: none for the usual ones.

    Raises:
        InputError: the optimiser has no momentum but some are given, a value is no setting, or all rates diverge.
    """
    start = plan.train.optimizer
    if isinstance(start, AdamW) and momenta:
        raise InputError("--momentum: adamw, the optimiser in params.yaml, has none to tune; leave it out")
    momenta = [] if isinstance(start, AdamW) else momenta or MOMENTA
    for option, values, allowed in (("--lr", rates, "> 0"), ("--momentum", momenta, "≥ 0")):
        for value in values:
            if not math.isfinite(value) or value < 0 or (value == 0 and option == "--lr"):
                raise InputError(f"{option}: {value:g} is not {allowed}")
    splits = {split: tensors.read(paths.split_file(plan.dataset, split)) for split in ("train", "val")}
    best, curves = tune(validation_losses(plan, splits), start, rates, momenta)
    images = len(splits["train"].images[: plan.train.overfit])
    by_setting = {setting(each, images, plan.train.seeds[0]): values for each, values in curves.items()}
    tuning_table.write(paths.tuning_file(plan.cell), by_setting)
    print(f"best: {name(best)}; put it into params.yaml")
    return {name(each): values for each, values in curves.items()}


def setting(optimizer: Optimizer, images: int, seed: int) -> tuning_table.Setting:
    """What was tried, as the table has it."""
    momentum = optimizer.momentum if isinstance(optimizer, SGD) else None
    return tuning_table.Setting(optimizer.kind, optimizer.lr, momentum, images, seed)


def name(optimizer: Optimizer) -> str:
    """What is tuned, in words."""
    return str(setting(optimizer, 0, 0))
