"""Train every seed of one cell: `python -m pipeline.train DATASET NETWORK LOSS`."""

import sys

from losslab.errors import exit_on_error
from losslab.inference import devices
from losslab.settings.plans import TrainPlan
from losslab.tracking import sync
from losslab.training import processes, seeds


def main() -> None:
    plan = TrainPlan.read(*sys.argv[1:4])
    processes.launch(plan.train.processes, "pipeline.train", sys.argv[1:])
    with devices.memory("train.batch_size", plan.train.batch_size):
        seeds.train_seeds(plan, on_epoch=sync.epoch)


if __name__ == "__main__":
    exit_on_error(main)
