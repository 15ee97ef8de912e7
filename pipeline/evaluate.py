"""Score every test image with every seed of one loss: `python -m pipeline.evaluate DATASET LOSS`."""

import sys

from losslab import evaluation, params
from losslab.errors import exit_on_error


def main() -> None:
    evaluation.evaluate_seeds(params.load(), *sys.argv[1:3])


if __name__ == "__main__":
    exit_on_error(main)
