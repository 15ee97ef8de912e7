"""Staged tuning of SGD: the learning rate first, then momentum at the best rate, by the lowest validation loss.

`python -m losslab tune DATASET LOSS --lr 0.001 0.01 0.1 --momentum 0.5 0.9` trains as params.yaml says, first with
its momentum at every rate, then with every momentum at the best of them. It reads the tensors that `dvc repro extract`
makes, never the test set, and leaves `results/tuning/DATASET-LOSS.csv` and `.png`, whose curves the report shows.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from losslab import devices, figures, losses, models, params, runs, tried
from losslab.data import tensors
from losslab.errors import InputError, did_you_mean
from losslab.experiment import prepared
from losslab.params import SGD, Params
from losslab.training import Progress, train

Curve = list[float]
"""Validation loss after each epoch; it ends early where the run diverged."""


def tune(
    curve: Callable[[SGD], Curve], start: SGD, rates: Sequence[float], momenta: Sequence[float]
) -> tuple[SGD, dict[SGD, Curve]]:
    """The best settings and the curves of all that were tried, in order; of equals the first is best.

    Raises:
        InputError: every learning rate diverged.
    """
    curves: dict[SGD, Curve] = {}

    def best(candidates: Sequence[SGD]) -> SGD:
        for candidate in candidates:
            if candidate not in curves:
                curves[candidate] = curve(candidate)
        return min(candidates, key=lambda candidate: min(curves[candidate], default=math.inf))

    at_rate = best([start.model_copy(update={"lr": rate}) for rate in rates])
    if not curves[at_rate]:
        raise InputError("--lr: every rate diverged in its first epoch; try lower ones")
    return best([at_rate, *(at_rate.model_copy(update={"momentum": momentum}) for momentum in momenta)]), curves


def validation_losses(settings: Params, dataset: str, loss: str) -> Callable[[SGD], Curve]:
    """A function that trains with an optimiser, the first of `train.seeds` and all else as in params.yaml."""
    device = devices.prepare(settings.train)
    dtype = devices.compute_dtype(settings.train, device)
    split, val = (tensors.read(runs.split_file(dataset, name)) for name in ("train", "val"))
    data = prepared(split, val, settings.train, device)
    network = partial(models.registry.build, settings.model, in_channels=3, classes=len(split.classes))
    loss_function = losses.registry.build(settings.losses[loss])

    def curve(optimizer: SGD) -> Curve:
        progress, label = Progress(), tried.label(optimizer.lr, optimizer.momentum)
        train_settings = settings.train.model_copy(update={"optimizer": optimizer})
        seed = settings.train.seeds[0]
        train(network, loss_function, data, train_settings, seed, dtype, progress, lambda _: None, label)
        found = [row.value for row in progress.rows if (row.split, row.metric) == ("val", "loss")]
        print(f"{label}: " + (f"lowest validation loss {min(found):.4g}" if found else "diverged"), flush=True)
        return found

    return curve


def run(dataset: str, loss: str, rates: Sequence[float], momenta: Sequence[float]) -> None:
    """Tune, say what is best, and write the curves.

    Raises:
        InputError: a name is not in params.yaml, its optimiser is not SGD, a value is no setting, or all rates diverge.
    """
    settings = params.check()
    start = settings.train.optimizer
    if not isinstance(start, SGD):
        raise InputError("params.yaml: train.optimizer.kind: only sgd has a momentum to tune")
    for option, values, allowed in (("--lr", rates, "> 0"), ("--momentum", momenta, "≥ 0")):
        for value in values:
            if not math.isfinite(value) or value < 0 or (value == 0 and option == "--lr"):
                raise InputError(f"{option}: {value:g} is not {allowed}")
    for what, asked, known in (("dataset", dataset, settings.datasets), ("loss", loss, settings.losses)):
        if asked not in known:
            raise InputError(f"{what}: '{asked}' is not in params.yaml; {did_you_mean(asked, known)}")

    best, curves = tune(validation_losses(settings, dataset, loss), start, rates, momenta)
    path = runs.tuning_file(dataset, loss)
    tried.write(path, {(setting.lr, setting.momentum): values for setting, values in curves.items()})
    figures.save(figures.tuning_curves(tried.read(path)), path.with_suffix(".png"))
    print(f"best: {tried.label(best.lr, best.momentum)}; put it into params.yaml. Curves: {path.with_suffix('.png')}")
