"""Fetch a data set: `python -m pipeline.download DATASET` fills data/raw/DATASET."""

import sys

from losslab import data
from losslab.errors import exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_folder
from losslab.settings.plans import DownloadPlan


def main() -> None:
    name = sys.argv[1]
    spec = DownloadPlan.read(name).dataset
    dataset = data.registry.resolve(spec["kind"]).to_fetch(spec["download"])
    with atomic_folder(paths.RAW / name) as raw:
        dataset.fetch(raw)


if __name__ == "__main__":
    exit_on_error(main)
