"""Seconds of `dvc repro` with nothing to do, in this repository, beside `dvc --version`, which only starts DVC."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timing import Figure, Goal, Skipped, figure, in_turns, seconds

if TYPE_CHECKING:
    from speed import Options

DVC = str(Path(sys.executable).with_name("dvc"))


def run(*arguments: str) -> str:
    return subprocess.run([DVC, *arguments], check=True, capture_output=True, text=True).stdout


def figures(options: "Options") -> list[Figure]:
    if "up to date" not in run("status"):
        raise Skipped("there is something to do; run `make`")
    version, repro = in_turns(
        options.rounds, partial(seconds, partial(run, "--version")), partial(seconds, partial(run, "repro"))
    )
    return [figure("`dvc repro` with nothing to do", "s", repro, "`dvc --version`", version, Goal("ours", "≤", 1.5))]
