"""`python -m losslab COMMAND`, for what is not a stage of the pipeline."""

import argparse

from losslab import params
from losslab.errors import exit_on_error


def check() -> None:
    """check params.yaml, and say so if it is right"""
    settings = params.check()
    runs = len(settings.grid.datasets) * len(settings.grid.losses) * len(settings.train.seeds)
    print(f"{params.PARAMS}: correct; {runs} runs in the grid")


def track() -> None:
    """bring MLflow up to what the results say"""
    from losslab import tracking

    settings = params.load()
    for dataset in settings.grid.datasets:
        for loss in settings.grid.losses:
            tracking.sync_results(settings, dataset, loss)


COMMANDS = {command.__name__: command for command in (check, track)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="losslab", description="Run these where params.yaml is.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        subparsers.add_parser(name, help=command.__doc__)
    COMMANDS[parser.parse_args().command]()


if __name__ == "__main__":
    exit_on_error(main)
