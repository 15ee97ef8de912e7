"""Train every seed of one loss: `python -m pipeline.train DATASET LOSS`."""

import sys

from losslab import devices, distributed, experiment, params
from losslab.errors import exit_on_error


def main() -> None:
    settings = params.load()
    distributed.launch(settings.train.processes, "pipeline.train", sys.argv[1:])
    with devices.memory("train.batch_size", settings.train.batch_size):
        experiment.train_seeds(settings, *sys.argv[1:3])


if __name__ == "__main__":
    exit_on_error(main)
