"""Train every seed of one loss on one data set: from files to files."""

from dataclasses import asdict
from functools import partial

import torch

from losslab import checkpoints, devices, history, losses, model_file, models, runs, tracking
from losslab.data import tensors
from losslab.files import atomic_folder
from losslab.inference import Normalisation
from losslab.params import Params
from losslab.training import Data, Progress, train


def train_seeds(params: Params, dataset: str, loss: str) -> None:
    """Train one network per seed; write the models and the history. Goes on from checkpoints where there are any."""
    settings = params.train
    device = devices.prepare(settings)
    dtype = devices.compute_dtype(settings, device)
    splits = {name: tensors.read(runs.split_file(dataset, name)) for name in ("train", "val")}
    data = _on_device(splits, device)
    classes = splits["train"].classes
    loss_function = losses.registry.build(params.losses[loss])
    build_network = partial(models.registry.build, params.model, in_channels=3, classes=len(classes))

    rows: list[history.Row] = []
    with atomic_folder(runs.models_folder(dataset, loss)) as folder:
        for run in runs.of(params, dataset, loss):
            progress = restore(run.key)
            if not finished(progress, settings.epochs):
                label = f"{dataset} {loss} seed {run.seed}"

                def on_epoch(progress: Progress, run: runs.Run = run) -> None:
                    if finished(progress, settings.epochs):
                        progress.state = {}  # nothing goes on from here: keep the result only
                    checkpoints.save(run.key, vars(progress) | {"rows": [tuple(row) for row in progress.rows]})
                    tracking.sync(run, progress.rows, device=devices.name_of(device))

                train(build_network, loss_function, data, settings, run.seed, dtype, progress, on_epoch, label)
            rows += progress.rows
            if progress.diverged:
                step = history.diverged_step(progress.rows, run.seed)
                print(f"{dataset} {loss} seed {run.seed}: diverged at step {step}; recorded, and the others go on")
                continue
            about = {
                **run.config,
                "dataset": splits["train"].dataset,
                "classes": classes,
                "image_size": list(data.images.shape[2:]),
                "seed": run.seed,
                "threshold": progress.threshold,
                **asdict(data.normalise),
            }
            model_file.save(folder / f"seed{run.seed}.safetensors", progress.kept, about)
    history.write(runs.history_file(dataset, loss), rows)


def finished(progress: Progress, epochs: int) -> bool:
    """Whether a run has nothing left to do."""
    return progress.diverged or progress.epoch >= epochs


def restore(key: str) -> Progress:
    """Where the run with this key was, or the beginning."""
    saved = checkpoints.load(key)
    if saved is None:
        return Progress()
    return Progress(**saved | {"rows": [history.Row(*row) for row in saved["rows"]]})


def _on_device(splits: dict[str, tensors.Split], device: torch.device) -> Data:
    def to(array: tensors.Array) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    images = to(splits["train"].images)
    return Data(
        images,
        to(splits["train"].masks),
        to(splits["val"].images),
        to(splits["val"].masks),
        Normalisation.of(images),
    )
