"""Turn scores and histories into the leaderboard."""

from pathlib import Path

from losslab import leaderboard, params
from losslab.errors import exit_on_error


def main() -> None:
    settings = params.load()
    leaderboard.write(leaderboard.compute(settings), settings, Path("results"))


if __name__ == "__main__":
    exit_on_error(main)
