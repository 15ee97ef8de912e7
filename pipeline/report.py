"""Draw the figures and write the report."""

from pathlib import Path

from losslab import params, report
from losslab.errors import exit_on_error


def main() -> None:
    report.write(params.load(), Path("results"))


if __name__ == "__main__":
    exit_on_error(main)
