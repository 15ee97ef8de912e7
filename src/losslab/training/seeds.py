"""Train every seed of one cell: from files to files."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from losslab import losses, networks
from losslab.data import tensors
from losslab.errors import InputError
from losslab.inference import devices, model_file
from losslab.inference.forward import Normalisation
from losslab.losses import Loss
from losslab.networks import pretrained
from losslab.networks.pretrained import Pretrained
from losslab.results import checkpoints, history, paths, runs, tuning_table
from losslab.results.files import atomic_folder
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.settings.params import Spec, Train
from losslab.settings.plans import TrainPlan
from losslab.training import fine_tuning, processes
from losslab.training.batches import fits
from losslab.training.loop import Data, Progress, train

OnEpoch = Callable[[Run, Sequence[Row], str], object]
"""Is told of each epoch: the run, its history so far, and the name of the device."""


def train_seeds(plan: TrainPlan, on_epoch: OnEpoch) -> None:
    """Train one network per seed; write the models and the history. Goes on from checkpoints where there are any."""
    cell = plan.cell
    done, of_data = trained(tuning_table.tuned(plan), on_epoch)
    if not processes.is_first():
        return
    with atomic_folder(paths.TRAIN / cell.path) as folder:
        for run, progress, normalise in done:
            if progress.diverged:
                step = history.diverged_step(progress.rows, run.seed)
                print(f"{cell} seed {run.seed}: diverged at step {step}; recorded, and the others go on")
                continue
            metadata = {**run.config, **of_data, **asdict(normalise), "seed": run.seed, "threshold": progress.threshold}
            model_file.save(folder / paths.model_file(cell, run.seed).name, progress.kept, metadata)
        rows = [row for _, progress, _ in done for row in progress.rows]
        history.write(folder / paths.history_file(cell).name, rows)


def trained(plan: TrainPlan, on_epoch: OnEpoch) -> tuple[list[tuple[Run, Progress, Normalisation]], dict[str, Any]]:
    """Every seed of a cell with what came of it and how its images were normalised; what the models say of the data."""
    settings, cell = plan.train, plan.cell
    with processes.together(devices.prepare(settings)) as device:
        dtype = devices.compute_dtype(settings.precision, plan.cpu_precision, device)
        splits = {name: tensors.read(paths.split_file(cell.dataset, name)) for name in ("train", "val")}
        classes = splits["train"].classes

        def start(train: tensors.Split) -> tuple[Callable[[], nn.Module], Data]:
            return network_for(plan, len(classes), prepared(train, splits["val"], settings, device))

        same = None if plan.drawn else start(splits["train"])
        loss = loss_for(splits["train"], plan.loss_spec)
        _check_options(loss, len(classes), cell.loss)
        done: list[tuple[Run, Progress, Normalisation]] = []
        for run in runs.of(plan):
            build_network, data = same or start(splits["train"].drawn(plan.drawn, run.seed))
            progress = processes.from_first(restore(run.key))
            if not finished(progress, settings.epochs):
                label = f"{cell} seed {run.seed}"
                keep = partial(_keep, run, settings.epochs, devices.name_of(device), on_epoch)
                train(build_network, loss, data, settings, run.seed, dtype, progress, keep, label)
            done.append((run, progress, data.normalise))
    return done, {
        "dataset": splits["train"].dataset,
        "classes": classes,
        "exclusive": splits["train"].exclusive,
        "image_size": list(splits["train"].images.shape[2:]),
        "padded": splits["train"].padded,
    }


def _check_options(loss: Loss, classes: int, name: str) -> None:
    """Ask a loss for a value before anything is trained: how many classes there are, options alone do not say.

    Raises:
        InputError: an option, such as a list of weights, does not fit the data set.
    """
    planes = torch.zeros(1, classes, 16, 16)
    try:
        loss(planes, planes)
    except ValueError as error:
        raise InputError(f"params.yaml: losses.{name}: {error}") from None


def _keep(run: Run, epochs: int, device: str, on_epoch: OnEpoch, progress: Progress) -> None:
    """Write the checkpoint of an epoch and say that it is done."""
    if finished(progress, epochs):
        progress.state = {}  # nothing goes on from here: keep the result only
    if processes.is_first():
        checkpoints.save(run.key, vars(progress) | {"rows": [tuple(row) for row in progress.rows]})
        on_epoch(run, progress.rows, device)


def finished(progress: Progress, epochs: int) -> bool:
    """Whether a run has nothing left to do."""
    return progress.diverged or progress.epoch >= epochs


def restore(key: str) -> Progress:
    """Where the run with this key was, or the beginning."""

    def progress(saved: dict[str, Any]) -> Progress:
        return Progress(**saved | {"rows": [Row(*row) for row in saved["rows"]]})

    return checkpoints.load(key, progress) or Progress()


def prepared(train: tensors.Split, val: tensors.Split, settings: Train, device: torch.device) -> Data:
    """The splits, the training set on the device if it fits, as `train.input` and `train.overfit` say."""

    def mapped(array: tensors.Array) -> torch.Tensor:
        return torch.from_numpy(array[: settings.overfit])

    images, truth = mapped(train.images), mapped(train.truth)
    streamed = not fits([images, truth], device, settings.device_gb)
    if not streamed:
        images, truth = images.to(device), truth.to(device)
    normalise = Normalisation.of(images) if settings.input == "normalised" else Normalisation.none(images.shape[1])
    validation = (images, truth) if settings.overfit else (mapped(val.images), mapped(val.truth))
    void = train.has_void or val.has_void
    return Data(images, truth, *validation, normalise, device, streamed, len(train.classes), void)


def network_for(plan: TrainPlan, classes: int, data: Data) -> tuple[Callable[[], nn.Module], Data]:
    """What builds the network of a plan, and the data normalised as its weights want it, if it starts from some."""
    build: Callable[[], nn.Module]
    build = partial(networks.registry.build, plan.network_spec, in_channels=3, classes=classes)
    if "pretrained" not in plan.network_spec:
        return build, data
    weights, file = Pretrained.model_validate(plan.network_spec["pretrained"]), paths.weights_file(plan.network)
    if plan.train.input == "normalised":
        data = replace(data, normalise=Normalisation(*pretrained.normalisation(file, weights)))
    return fine_tuning.started(build, file, weights, str(plan.cell)), data


def loss_for(split: tensors.Split, spec: Spec) -> Loss:
    """The loss that `spec` describes, for data like this."""
    return losses.registry.build(spec, **({"exclusive": True} if split.exclusive else {}))
