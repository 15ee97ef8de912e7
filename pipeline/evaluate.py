"""Score every test image with every seed of one loss: `python -m pipeline.evaluate DATASET LOSS`."""

import sys

from losslab import devices, evaluation, params
from losslab.errors import exit_on_error


def main() -> None:
    settings = params.load()
    with devices.memory("evaluate.batch_size", settings.evaluate.batch_size):
        evaluation.evaluate_seeds(settings, *sys.argv[1:3])


if __name__ == "__main__":
    exit_on_error(main)
