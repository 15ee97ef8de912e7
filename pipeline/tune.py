"""Try settings for one cell, and choose those to train with: `python -m pipeline.tune DATASET NETWORK LOSS`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from losslab.errors import exit_on_error
from losslab.results import paths, tuning_table
from losslab.results.files import atomic_folder, write_json
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.settings.plans import Cell, TunePlan
from pipeline import PROGRESS, libraries


def main() -> None:
    plan, cell = TunePlan.read(*sys.argv[1:4]), Cell(*sys.argv[1:4])
    if plan.of is None:
        with atomic_folder(paths.TUNE / cell.path) as folder:
            write_json(folder / tuning_table.CHOSEN, {})
        return
    libraries.check(plan.libraries)
    # Here, because most grids are not tuned, and torch takes seconds.
    from losslab.inference import devices
    from losslab.training import processes, tuning

    train = plan.of.train
    processes.launch(train.processes, "pipeline.tune", sys.argv[1:])

    def on_epoch(trials: int, run: Run, rows: Sequence[Row], device: str) -> None:
        if folder := os.environ.get(PROGRESS):
            done = (trials * len(train.seeds) + train.seeds.index(run.seed)) * train.epochs + rows[-1].epoch
            Path(folder, f"tune-{'-'.join(cell.names)}").write_text(str(done), encoding="utf-8")

    with devices.memory("train.batch_size", train.batch_size):
        tuning.run(plan, on_epoch)


if __name__ == "__main__":
    exit_on_error(main)
