"""Seconds until a stage starts to work: from starting `python -m pipeline.STAGE` until its imports are done and its
plan read and checked. The baseline is a process that imports torch and does nothing. What a stage imports later, when
it is needed, does not count: MLflow after the first epoch, a data set's reader, the network, the loss.
"""

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from timing import Figure, Goal, Skipped, figure, in_turns, seconds

from losslab.settings.plans import FOLDER, ReportPlan, cells

if TYPE_CHECKING:
    from speed import Options

# Every stage begins by reading its plan, and `plan` by reading params.yaml: there the process ends.
UNTIL_WORK = """
import os, runpy, sys
import pipeline
from losslab.settings import params, plans

def then_end(read):
    def ended(*args):
        read(*args)
        os._exit(0)
    return ended

params.load = then_end(params.load)
plans.Plan.read = classmethod(then_end(plans.Plan.read.__func__))
stage = sys.argv.pop(1)
runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
sys.exit("the stage ended without reading what it is to do")
"""


def process(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *arguments], check=True))


def figures(options: "Options") -> list[Figure]:
    if not FOLDER.is_dir():
        raise Skipped(f"{FOLDER} is not there; run `dvc repro plan`")
    cell = cells(ReportPlan.read().params.grid)[0]
    instances = {
        "plan": (),
        **dict.fromkeys(("download", "extract"), (cell.dataset,)),
        **dict.fromkeys(("train", "evaluate"), cell.names),
        **dict.fromkeys(("compare", "report"), ()),
    }
    stages = [partial(process, "-c", UNTIL_WORK, stage, *names) for stage, names in instances.items()]
    torch, *starts = in_turns(min(options.rounds, 3), partial(process, "-c", "import torch, os; os._exit(0)"), *stages)
    return [
        figure(f"start of `{stage}`", "s", own, "import torch", torch, Goal("ours", "≤", 5))
        for stage, own in zip(instances, starts, strict=True)
    ]
