"""Score every test image with every seed of one cell: `python -m pipeline.evaluate DATASET NETWORK LOSS`."""

import sys

from losslab.errors import exit_on_error
from losslab.evaluation import seeds
from losslab.inference import devices
from losslab.settings.plans import EvaluatePlan, TrainPlan
from losslab.tracking import sync
from pipeline import libraries


def main() -> None:
    plan = EvaluatePlan.read(*sys.argv[1:4])
    libraries.check(plan.libraries)
    with devices.memory("evaluate.batch_size", plan.evaluate.batch_size):
        seeds.evaluate_seeds(plan)
    sync.cell(TrainPlan.read(*plan.cell.names))


if __name__ == "__main__":
    exit_on_error(main)
