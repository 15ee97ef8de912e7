"""Runs: one cell of the grid, one seed, and what identifies them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from losslab.results import paths, tuning_table
from losslab.results.files import digest
from losslab.settings.plans import Cell, TrainPlan


@dataclass(frozen=True)
class Run:
    """One training run, and everything that its result depends on."""

    cell: Cell
    seed: int
    config: dict[str, Any]
    """`network`, `loss` and `train` as in params.yaml, with all defaults filled in."""
    data_md5: str
    """md5 of train.safetensors, as DVC has it."""
    code: str
    """Fingerprint of the code of the train stage."""
    libraries: dict[str, str]
    """Installed libraries that the train stage depends on → version; a part of the fingerprint."""
    key: str
    """Digest of all of the above: the same key, the same bytes."""


def of(plan: TrainPlan) -> list[Run]:
    """The runs of one cell, in the order of its seeds, with the settings that tuning chose.

    Raises:
        InputError: the tensors, or what tuning chose, are missing.
    """
    plan = tuning_table.tuned(plan)
    train, val = (digest(paths.split_file(plan.dataset, split)) for split in ("train", "val"))
    settings = plan.train.model_dump(mode="json", exclude={"seeds", "device_gb"}) | {
        "cpu_precision": plan.cpu_precision
    }
    if plan.drawn is not None:
        settings["drawn"] = plan.drawn
    config = {"network": plan.network_spec, "loss": plan.loss_spec, "train": settings}
    runs = []
    for seed in plan.train.seeds:
        identity = json.dumps([plan.cell.names, seed, config, train, val, plan.code], sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()[:32]
        runs.append(Run(plan.cell, seed, config, train, plan.code, plan.libraries, key))
    return runs
