"""Train every seed of one loss on one data set: from files to files."""

from dataclasses import asdict
from functools import partial

import torch

from losslab import checkpoints, devices, distributed, history, losses, model_file, models, runs, tracking
from losslab.data import tensors
from losslab.files import atomic_folder
from losslab.inference import Normalisation
from losslab.params import Params, Train
from losslab.training import Data, Progress, train


def train_seeds(params: Params, dataset: str, loss: str) -> None:
    """Train one network per seed; write the models and the history. Goes on from checkpoints where there are any."""
    settings = params.train
    with distributed.together(devices.prepare(settings)) as device:
        dtype = devices.compute_dtype(settings, device)
        splits = {name: tensors.read(runs.split_file(dataset, name)) for name in ("train", "val")}
        data = prepared(splits["train"], splits["val"], settings, device)
        classes = splits["train"].classes
        loss_function = losses.registry.build(params.losses[loss])
        build_network = partial(models.registry.build, params.model, in_channels=3, classes=len(classes))
        done: list[tuple[runs.Run, Progress]] = []
        for run in runs.of(params, dataset, loss):
            progress = distributed.from_first(restore(run.key))
            if not finished(progress, settings.epochs):
                label = f"{dataset} {loss} seed {run.seed}"
                on_epoch = partial(_keep, run, settings.epochs, devices.name_of(device))
                train(build_network, loss_function, data, settings, run.seed, dtype, progress, on_epoch, label)
            done.append((run, progress))
    if not distributed.is_first():
        return
    about = {
        "dataset": splits["train"].dataset,
        "classes": classes,
        "image_size": list(data.images.shape[2:]),
        **asdict(data.normalise),
    }
    with atomic_folder(runs.models_folder(dataset, loss)) as folder:
        for run, progress in done:
            if progress.diverged:
                step = history.diverged_step(progress.rows, run.seed)
                print(f"{dataset} {loss} seed {run.seed}: diverged at step {step}; recorded, and the others go on")
                continue
            of_run = {**run.config, **about, "seed": run.seed, "threshold": progress.threshold}
            model_file.save(folder / f"seed{run.seed}.safetensors", progress.kept, of_run)
    history.write(runs.history_file(dataset, loss), [row for _, progress in done for row in progress.rows])


def _keep(run: runs.Run, epochs: int, device: str, progress: Progress) -> None:
    """Write the checkpoint of an epoch and tell MLflow."""
    if finished(progress, epochs):
        progress.state = {}  # nothing goes on from here: keep the result only
    if distributed.is_first():
        checkpoints.save(run.key, vars(progress) | {"rows": [tuple(row) for row in progress.rows]})
        tracking.sync(run, progress.rows, device=device)


def finished(progress: Progress, epochs: int) -> bool:
    """Whether a run has nothing left to do."""
    return progress.diverged or progress.epoch >= epochs


def restore(key: str) -> Progress:
    """Where the run with this key was, or the beginning."""
    saved = checkpoints.load(key)
    if saved is None:
        return Progress()
    return Progress(**saved | {"rows": [history.Row(*row) for row in saved["rows"]]})


def prepared(train: tensors.Split, val: tensors.Split, settings: Train, device: torch.device) -> Data:
    """The splits on the device, as `train.input` and `train.overfit` say."""

    def to(array: tensors.Array) -> torch.Tensor:
        return torch.from_numpy(array[: settings.overfit]).to(device)

    images, masks = to(train.images), to(train.masks)
    normalise = Normalisation.of(images) if settings.input == "normalised" else Normalisation.none(images.shape[1])
    if settings.overfit:
        return Data(images, masks, images, masks, normalise)
    return Data(images, masks, to(val.images), to(val.masks), normalise)
