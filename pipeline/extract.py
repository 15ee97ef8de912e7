"""Turn raw data into tensors: `python -m pipeline.extract DATASET` fills data/tensors/DATASET."""

import sys

from losslab import data
from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder
from losslab.settings.plans import DownloadPlan, ExtractPlan
from pipeline import libraries


def main() -> None:
    name = sys.argv[1]
    # How the data was fetched is not in this stage's plan: where that changes no file, nothing is extracted again.
    plan = ExtractPlan.read(name)
    libraries.check(plan.libraries)
    dataset = data.registry.build(DownloadPlan.read(name).dataset | plan.dataset)
    with atomic_folder(paths.TENSORS / name) as out:
        dataset.write_tensors(paths.RAW / name, out)


if __name__ == "__main__":
    exit_on_error(main)
