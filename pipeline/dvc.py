"""DVC, ended with the process that started it: `python -m pipeline.dvc ARGUMENTS`."""

import sys

from dvc.cli import main

from pipeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1:]))
