"""Staged tuning: the learning rate first, then SGD's momentum at the best rate, by the lowest validation loss.

`python -m losslab tune DATASET LOSS --lr 0.001 0.01 0.1 --momentum 0.5 0.9` trains as params.yaml says, first with
its momentum at every rate, then with every momentum at the best of them. It reads the tensors that `dvc repro extract`
makes, never the test set, and leaves `results/tuning/DATASET-LOSS.csv` and `.png`, whose curves the report shows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from losslab import devices, figures, losses, models, params, runs, tried
from losslab.data import tensors
from losslab.errors import InputError, did_you_mean
from losslab.experiment import prepared
from losslab.params import SGD, AdamW, Params
from losslab.training import Progress, train

MOMENTA = (0.5, 0.9)
"""What is tried where nothing else is asked for."""

Optimizer = AdamW | SGD
Curve = list[float]
"""Validation loss after each epoch; it ends early where the run diverged."""


def tune(
    curve: Callable[[Optimizer], Curve], start: Optimizer, rates: Sequence[float], momenta: Sequence[float]
) -> tuple[Optimizer, dict[Optimizer, Curve]]:
    """The best settings and the curves of all that were tried, in order; of equals the first is best.

    Args:
        momenta: none where `start` has no momentum.

    Raises:
        InputError: every learning rate diverged.
    """
    curves: dict[Optimizer, Curve] = {}

    def best(candidates: Sequence[Optimizer]) -> Optimizer:
        for candidate in candidates:
            if candidate not in curves:
                curves[candidate] = curve(candidate)
        return min(candidates, key=lambda candidate: min(curves[candidate], default=math.inf))

    at_rate = best([start.model_copy(update={"lr": rate}) for rate in rates])
    if not curves[at_rate]:
        raise InputError("--lr: every rate diverged in its first epoch; try lower ones")
    return best([at_rate, *(at_rate.model_copy(update={"momentum": momentum}) for momentum in momenta)]), curves


def validation_losses(settings: Params, splits: Mapping[str, tensors.Split], loss: str) -> Callable[[Optimizer], Curve]:
    """A function that trains with an optimiser, the first of `train.seeds` and all else as in params.yaml."""
    device = devices.prepare(settings.train)
    dtype = devices.compute_dtype(settings.train, device)
    data = prepared(splits["train"], splits["val"], settings.train, device)
    network = partial(models.registry.build, settings.model, in_channels=3, classes=len(splits["train"].classes))
    loss_function = losses.registry.build(settings.losses[loss])

    def curve(optimizer: Optimizer) -> Curve:
        progress, label = Progress(), name(optimizer)
        train_settings = settings.train.model_copy(update={"optimizer": optimizer})
        seed = settings.train.seeds[0]
        train(network, loss_function, data, train_settings, seed, dtype, progress, lambda _: None, label)
        found = [row.value for row in progress.rows if (row.split, row.metric) == ("val", "loss")]
        print(f"{label}: " + (f"lowest validation loss {min(found):.4g}" if found else "diverged"), flush=True)
        return found

    return curve


def run(dataset: str, loss: str, rates: Sequence[float], momenta: Sequence[float] | None) -> None:
    """Tune, say what is best, and write the curves.

    Args:
        momenta: none for the usual ones.

    Raises:
        InputError: a name is not in params.yaml, its optimiser has no momentum but some are given, a value is no
            setting, or all rates diverge.
    """
    settings = params.check()
    start = settings.train.optimizer
    if isinstance(start, AdamW) and momenta:
        raise InputError("--momentum: adamw, the optimiser in params.yaml, has none to tune; leave it out")
    momenta = [] if isinstance(start, AdamW) else momenta or MOMENTA
    for option, values, allowed in (("--lr", rates, "> 0"), ("--momentum", momenta, "≥ 0")):
        for value in values:
            if not math.isfinite(value) or value < 0 or (value == 0 and option == "--lr"):
                raise InputError(f"{option}: {value:g} is not {allowed}")
    for what, asked, known in (("dataset", dataset, settings.datasets), ("loss", loss, settings.losses)):
        if asked not in known:
            raise InputError(f"{what}: '{asked}' is not in params.yaml; {did_you_mean(asked, known)}")

    splits = {name: tensors.read(runs.split_file(dataset, name)) for name in ("train", "val")}
    best, curves = tune(validation_losses(settings, splits, loss), start, rates, momenta)
    images = len(splits["train"].images[: settings.train.overfit])
    path = runs.tuning_file(dataset, loss)
    tried.write(path, {setting(each, images, settings.train.seeds[0]): values for each, values in curves.items()})
    figures.save(
        figures.tuning_curves({name(each): values for each, values in curves.items()}), path.with_suffix(".png")
    )
    print(f"best: {name(best)}; put it into params.yaml. Curves: {path.with_suffix('.png')}")
    if dataset not in settings.grid.datasets or loss not in settings.grid.losses:
        print(f"The report shows them once grid names {dataset} and {loss}.")


def setting(optimizer: Optimizer, images: int, seed: int) -> tried.Setting:
    """What was tried, as the table has it."""
    momentum = optimizer.momentum if isinstance(optimizer, SGD) else None
    return tried.Setting(optimizer.kind, optimizer.lr, momentum, images, seed)


def name(optimizer: Optimizer) -> str:
    """What is tuned, in words."""
    return str(setting(optimizer, 0, 0))
