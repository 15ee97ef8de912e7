"""Runs: one data set, one loss, one seed. What identifies them, and where their files are."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from losslab.data.fetch import digest
from losslab.errors import InputError
from losslab.params import Params

RAW = Path("data/raw")
TENSORS = Path("data/tensors")
RESULTS = Path("results")


@dataclass(frozen=True)
class Run:
    """One training run, and everything that its result depends on."""

    dataset: str
    loss: str
    seed: int
    config: dict[str, Any]
    """`loss`, `model` and `train` as in params.yaml."""
    data_md5: str
    """md5 of train.safetensors, as DVC has it."""
    code: str
    """Fingerprint of the code of the train stage."""
    key: str
    """Digest of all of the above: the same key, the same bytes."""


def of(params: Params, dataset: str, loss: str) -> list[Run]:
    """The runs of one loss on one data set, in the order of `train.seeds`.

    Raises:
        InputError: the tensors or the code fingerprint are missing.
    """
    train, val = (digest(split_file(dataset, split)) for split in ("train", "val"))
    code = (RESULTS / "code" / "train" / f"{dataset}-{loss}").read_text().strip()
    settings = params.train.model_dump(mode="json", exclude={"seeds"})
    config = {"loss": params.losses[loss], "model": params.model, "train": settings}
    found = []
    for seed in params.train.seeds:
        identity = json.dumps([dataset, loss, seed, config, train, val, code], sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()[:32]
        found.append(Run(dataset, loss, seed, config, train, code, key))
    return found


def split_file(dataset: str, split: str) -> Path:
    """The tensors of a split.

    Raises:
        InputError: there is no such file yet.
    """
    path = TENSORS / dataset / f"{split}.safetensors"
    if not path.is_file():
        raise InputError(f"{path}: not found; run `dvc repro`")
    return path


def models_folder(dataset: str, loss: str) -> Path:
    """Where `train` leaves the models, `seed<k>.safetensors`; none of a seed that diverged."""
    return RESULTS / "models" / dataset / loss


def history_file(dataset: str, loss: str) -> Path:
    """Where `train` leaves the history of all seeds."""
    return RESULTS / "history" / dataset / f"{loss}.csv"


def scores_file(dataset: str, loss: str) -> Path:
    """Where `evaluate` leaves the counts of all seeds."""
    return RESULTS / "scores" / dataset / f"{loss}.csv"


def boundaries_file(dataset: str, loss: str) -> Path:
    """Where `evaluate` leaves what the boundaries of all seeds' masks are like."""
    return RESULTS / "boundaries" / dataset / f"{loss}.csv"


def predictions_folder(dataset: str, loss: str) -> Path:
    """Where `evaluate` leaves predicted masks, `seed<k>.safetensors`; none of a seed that diverged."""
    return RESULTS / "predictions" / dataset / loss


def tuning_file(dataset: str, loss: str) -> Path:
    """Where `python -m losslab tune` leaves what it tried."""
    return RESULTS / "tuning" / f"{dataset}-{loss}.csv"


def prune(params: Params) -> None:
    """Remove results of data sets and losses that the grid no longer names; DVC's cache still has them.

    `compare` and `report` depend on whole folders of results, whose content must be what the grid says.
    """
    for where in (models_folder, history_file, scores_file, boundaries_file, predictions_folder):
        wanted = {where(dataset, loss) for dataset in params.grid.datasets for loss in params.grid.losses}
        parents = {path.parent for path in wanted}
        root = next(iter(parents)).parent
        for folder in root.iterdir() if root.is_dir() else ():
            for path in (folder, *(folder.iterdir() if folder in parents else ())):
                if path not in wanted | parents:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for root in (RAW, TENSORS):
        for folder in root.iterdir() if root.is_dir() else ():
            if folder.name not in params.grid.datasets:
                shutil.rmtree(folder)
