"""Train every seed of one loss: `python -m pipeline.train DATASET LOSS`."""

import sys

from losslab import experiment, params
from losslab.errors import exit_on_error


def main() -> None:
    experiment.train_seeds(params.load(), *sys.argv[1:3])


if __name__ == "__main__":
    exit_on_error(main)
