"""Fetch a data set: `python -m pipeline.download DATASET` fills data/raw/DATASET."""

import sys
from pathlib import Path

from losslab import params
from losslab.errors import exit_on_error
from losslab.files import atomic_folder


def main() -> None:
    name = sys.argv[1]
    dataset = params.load().dataset(name)
    with atomic_folder(Path("data/raw", name)) as raw:
        dataset.fetch(raw)


if __name__ == "__main__":
    exit_on_error(main)
