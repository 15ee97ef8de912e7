"""Turn raw data into tensors: `python -m pipeline.extract DATASET` fills data/tensors/DATASET."""

import sys
from pathlib import Path

from losslab import params
from losslab.errors import exit_on_error
from losslab.files import atomic_folder


def main() -> None:
    name = sys.argv[1]
    dataset = params.load().dataset(name)
    with atomic_folder(Path("data/tensors", name)) as out:
        dataset.write_tensors(Path("data/raw", name), out)


if __name__ == "__main__":
    exit_on_error(main)
