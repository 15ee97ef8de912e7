"""Train every seed of one cell: `python -m pipeline.train DATASET NETWORK LOSS`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from losslab.errors import exit_on_error
from losslab.inference import devices
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.settings.plans import TrainPlan
from losslab.tracking import sync
from losslab.training import processes, seeds
from pipeline import PROGRESS, libraries


def main() -> None:
    plan = TrainPlan.read(*sys.argv[1:4])
    libraries.check(plan.libraries)
    processes.launch(plan.train.processes, "pipeline.train", sys.argv[1:])

    def on_epoch(run: Run, rows: Sequence[Row], device: str) -> None:
        if folder := os.environ.get(PROGRESS):
            done = plan.train.seeds.index(run.seed) * plan.train.epochs + rows[-1].epoch
            Path(folder, "-".join(run.cell.names)).write_text(str(done), encoding="utf-8")
        sync.epoch(run, rows, device)

    with devices.memory("train.batch_size", plan.train.batch_size):
        seeds.train_seeds(plan, on_epoch)


if __name__ == "__main__":
    exit_on_error(main)
