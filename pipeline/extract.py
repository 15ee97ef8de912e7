"""Turn raw data into tensors: `python -m pipeline.extract DATASET` fills data/tensors/DATASET."""

import sys

from losslab import data
from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder
from losslab.settings.plans import ExtractPlan


def main() -> None:
    name = sys.argv[1]
    dataset = data.registry.build(ExtractPlan.read(name).dataset)
    with atomic_folder(paths.TENSORS / name) as out:
        dataset.write_tensors(paths.RAW / name, out)


if __name__ == "__main__":
    exit_on_error(main)
