"""Seconds until a stage starts to work: from starting `python -m pipeline.STAGE` until its imports are done and its
params read and checked. The baseline is a process that imports torch and does nothing. What a stage imports later, when
it is needed, does not count: MLflow after the first epoch, a data set's reader, the network, the loss.
"""

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from timing import Figure, Goal, figure, in_turns, seconds

if TYPE_CHECKING:
    from speed import Options

STAGES = ("code", "download", "extract", "train", "evaluate", "compare", "report")
# Every stage begins by reading the params: there the process ends.
UNTIL_WORK = """
import os, runpy, sys
import pipeline
from losslab import params
name = "check" if sys.argv[1] == "code" else "load"
read = getattr(params, name)
def then_end(*args):
    read(*args)
    os._exit(0)
setattr(params, name, then_end)
runpy.run_module(f"pipeline.{sys.argv[1]}", run_name="__main__", alter_sys=True)
sys.exit("the stage ended without reading params.yaml")
"""


def process(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *arguments], check=True))


def figures(options: "Options") -> list[Figure]:
    stages = [partial(process, "-c", UNTIL_WORK, stage) for stage in STAGES]
    torch, *starts = in_turns(min(options.rounds, 3), partial(process, "-c", "import torch, os; os._exit(0)"), *stages)
    return [
        figure(f"start of `{stage}`", "s", own, "import torch", torch, Goal("ours", "≤", 5))
        for stage, own in zip(STAGES, starts, strict=True)
    ]
