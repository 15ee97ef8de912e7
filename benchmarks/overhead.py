"""The share of the default run that is not training steps: start-up, extraction, validation, checkpoints, MLflow,
scoring, comparison, report and DVC itself.

It is measured as the run of params.yaml, in a folder of its own, with one batch of training images in place of them
all: what is left is everything else. The data come from `data/raw`, not from the network. The training steps that were
left out are added from their rate, as many processes at once as there are processors, measured after it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import peer
import training_step
import yaml
from timing import PROCESSORS, ROOT, Figure, Goal, Skipped, figure, seconds

from losslab.settings import params, plans

if TYPE_CHECKING:
    from speed import Options

PARTS = ("src", "pipeline", "dvc.yaml", "params.yaml", "pyproject.toml", "requirements.lock")
PARTS += (".dvcignore", ".gitignore", "Makefile")


def project(folder: Path) -> None:
    """This working tree, cut to one batch of training images, with git and DVC."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    settings = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    shapes = settings["datasets"]["shapes"]
    shapes["extract"]["train_images"] = settings["train"]["batch_size"]
    shapes["download"] = {"source": str(peer.RAW)}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    for command in ("git", "dvc"):
        run(folder, command, "init", "--quiet")


def run(folder: Path, *command: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True, capture_output=True)


def figures(_: "Options") -> list[Figure]:
    if not peer.TRAIN.is_file():
        raise Skipped("data/raw/shapes is empty; run `dvc repro extract`")
    settings = params.load()
    with tempfile.TemporaryDirectory() as work:
        project(Path(work))
        # The environment is this one: `make` is told not to make another.
        rest = seconds(lambda: run(Path(work), "make", "--old-file", ".venv/ready", "repro", f"JOBS={PROCESSORS}"))
    train, extract = settings.train, settings.datasets["shapes"]["extract"]
    runs = len(plans.cells(settings.grid)) * len(train.seeds)
    steps = extract["train_images"] // train.batch_size - 1
    alongside = training_step.SideBySide()
    alongside(settings, 30)  # the first is slow
    training = runs * train.epochs * steps * train.batch_size / alongside(settings, 100)
    what = f"{runs} runs of params.yaml, all but training steps"
    return [figure(what, "s", [rest], "all of it", [rest + training], Goal("ratio", "≤", 0.15))]
