"""Which ways of running the same thing give the same bytes: `python benchmarks/same_numbers.py [LOSS...]`.

{1, 2 threads} × {at one go, killed after each epoch and resumed} × {one after another, two processes at once}, on the
tensors and the other settings of this repository, 1 seed, 2 epochs. Prints a table of the md5 of models and histories.
Takes a few minutes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
# A stage that kills itself as soon as its first checkpoint is in place.
RESUMED = """
import os, runpy, sys
from losslab import checkpoints
save, first = checkpoints.save, not list(checkpoints.ROOT.glob("*.pt"))
def save_and_die(key, state):
    save(key, state)
    if first:
        os.kill(os.getpid(), 9)
checkpoints.save = save_and_die
sys.argv[1:] = sys.argv[1:3]
runpy.run_module("pipeline.train", run_name="__main__", alter_sys=True)
"""


def project(folder: Path, threads: int, losses: list[str]) -> None:
    for part in ("src", "pipeline", "data/tensors", "results/code"):
        shutil.copytree(ROOT / part, folder / part)
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"] |= {"threads": threads, "seeds": [0], "epochs": 2}
    params["grid"]["losses"] = losses
    params["compare"]["baseline"] = losses[0]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def start(folder: Path, loss: str, resumed: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, *(["-c", RESUMED] if resumed else ["-m", "pipeline.train"]), "shapes", loss]
    if resumed:  # the checkpoints of one loss do not count for another
        command[2] = command[2].replace("checkpoints.ROOT", f"(checkpoints.ROOT / {loss!r})")
        command[2] = command[2].replace("save, first", f"checkpoints.ROOT /= {loss!r}\nsave, first", 1)
    env = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "PYTHONPATH": "src"}
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL)


def train(folder: Path, losses: list[str], resumed: bool, together: bool) -> None:
    waiting = [[loss] for loss in losses] if not together else [losses]
    for group in waiting:
        if resumed:
            for process in [start(folder, loss, resumed) for loss in group]:
                assert process.wait() == -9
        for process in [start(folder, loss, resumed) for loss in group]:
            assert process.wait() == 0


def main() -> None:
    losses = sys.argv[1:] or ["bce", "dice"]
    print(f"{'threads':8}{'run':10}{'processes':16}" + "".join(f"{loss:>14}" for loss in losses))
    for threads, resumed, together in product((1, 2), (False, True), (False, True)):
        with tempfile.TemporaryDirectory() as work:
            project(Path(work), threads, losses)
            train(Path(work), losses, resumed, together)
            digests = []
            for loss in losses:
                results = Path(work, "results")
                files = (results / f"models/shapes/{loss}/seed0.safetensors", results / f"history/shapes/{loss}.csv")
                tensors = files[0].read_bytes()
                weights = tensors[8 + int.from_bytes(tensors[:8], "little") :]  # without the params, threads among them
                digests.append(hashlib.md5(weights + files[1].read_bytes()).hexdigest()[:8])
        words = "resumed" if resumed else "one go", "two at once" if together else "one by one"
        print(f"{threads:<8}{words[0]:10}{words[1]:16}" + "".join(f"{digest:>14}" for digest in digests), flush=True)


if __name__ == "__main__":
    main()
