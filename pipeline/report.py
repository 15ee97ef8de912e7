"""Draw the figures and write the report; tell MLflow what all runs together say."""

from pathlib import Path

from losslab import params, report, tracking
from losslab.errors import exit_on_error


def main() -> None:
    settings = params.load()
    report.write(settings, Path("results"))
    tracking.sync_everything(settings)


if __name__ == "__main__":
    exit_on_error(main)
