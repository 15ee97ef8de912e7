"""Which ways of running the same thing give the same bytes: `python benchmarks/same_numbers.py [LOSS...]`.

{1, 2 threads} × {at one go, killed after the first of two epochs and resumed} × {one after another, two processes at
once}, with the other settings of params.yaml, on 256 images of `data/tensors/shapes` (`dvc repro extract` makes them).
Prints for each loss the md5 of its weights and history. Takes a few minutes.
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

from losslab.data import tensors

ROOT = Path(__file__).resolve().parent.parent
NETWORK = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["grid"]["networks"][0]
IMAGES = {"train": 256, "val": 64}
# The train stage, killed as soon as the checkpoint of its first epoch is in place.
KILLED = """
import os, runpy
from losslab.results import checkpoints
save = checkpoints.save
def save_and_die(key, state):
    save(key, state)
    if state["epoch"] == 1:
        os.kill(os.getpid(), 9)
checkpoints.save = save_and_die
runpy.run_module("pipeline.train", run_name="__main__", alter_sys=True)
"""


def project(folder: Path, threads: int, losses: list[str]) -> None:
    for part in ("src", "pipeline"):
        shutil.copytree(ROOT / part, folder / part)
    for name, count in IMAGES.items():
        split = tensors.read(ROOT / f"data/tensors/shapes/{name}.safetensors")
        about = {"dataset": split.dataset, "classes": split.classes, "source": split.source}
        with tensors.Writer(folder / f"data/tensors/shapes/{name}.safetensors", **about) as writer:
            for image in zip(split.ids[:count], split.images, split.masks, strict=False):
                writer.append(*image)
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] |= {"threads": threads, "seeds": [0], "epochs": 2}
    params["grid"]["losses"] = losses
    params["grid"]["datasets"] = ["shapes"]
    params["grid"]["networks"] = params["grid"]["networks"][:1]
    params["compare"]["baseline"] = losses[0]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "pipeline.plan"], cwd=folder, check=True)


def train(folder: Path, losses: list[str], resumed: bool, together: bool) -> None:
    for group in [losses] if together else [[loss] for loss in losses]:
        if resumed:
            run(folder, group, ["-c", KILLED], expected=-9)
        run(folder, group, ["-m", "pipeline.train"], expected=0)


def run(folder: Path, losses: list[str], how: list[str], expected: int) -> None:
    env = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "PYTHONPATH": "src"}
    commands = [[sys.executable, *how, "shapes", NETWORK, loss] for loss in losses]
    processes = [subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL) for command in commands]
    assert [process.wait() for process in processes] == [expected] * len(losses)


def main() -> None:
    losses = sys.argv[1:] or ["bce", "dice"]
    print(f"{'threads':8}{'run':10}{'processes':16}" + "".join(f"{loss:>14}" for loss in losses))
    for threads, resumed, together in product((1, 2), (False, True), (False, True)):
        with tempfile.TemporaryDirectory() as work:
            project(Path(work), threads, losses)
            train(Path(work), losses, resumed, together)
            digests = []
            for loss in losses:
                results = Path(work, "results/train/shapes", NETWORK, loss)
                model = (results / "seed0.safetensors").read_bytes()
                weights = model[8 + int.from_bytes(model[:8], "little") :]  # without the params, threads among them
                digests.append(hashlib.md5(weights + (results / "history.csv").read_bytes()).hexdigest()[:8])
        words = "resumed" if resumed else "one go", "two at once" if together else "one by one"
        print(f"{threads:<8}{words[0]:10}{words[1]:16}" + "".join(f"{digest:>14}" for digest in digests), flush=True)


if __name__ == "__main__":
    main()
