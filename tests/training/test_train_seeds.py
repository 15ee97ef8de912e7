"""The stages train, evaluate, compare and report, run as DVC runs them, where something is wrong."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from projects import Project, new_project, tiny
from safetensors import safe_open

from losslab.data import tensors
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.extra.measuring import measure
from losslab.results import boundary_scores, history, predictions, scores

NO_SERVER = {"LOSSLAB_MLFLOW": "on", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}


def run(project: Project, *stages: str) -> None:
    """Run stages that succeed."""
    for stage in stages:
        done = project.stage(*stage.split())
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Project:
    """A project whose tensors are there, with `dice` to train and `bce` as it diverges."""
    project = new_project(tmp_path_factory.mktemp("extracted"))
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    run(project, "plan", "download shapes", "extract shapes")
    return project


@pytest.fixture
def ready(extracted: Project, tmp_path: Path) -> Project:
    """A copy of it to spoil."""
    shutil.copytree(extracted.root, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def test_weights_that_do_not_fit_the_classes_are_one_line(ready: Project) -> None:
    ready.set(lambda p: p["losses"]["bce"].update(pos_weight=[1.0, 2.0]))
    run(ready, "plan")
    failed = ready.stage("train", "shapes", "unet", "bce")
    line = "error: params.yaml: losses.bce: 2 weights are given: [1.0, 2.0]; this data set needs 5"
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, line)


def test_a_diverged_run_is_recorded_and_the_others_go_on(ready: Project) -> None:
    # Every seed of both losses; a learning rate so high that the weights overflow.
    ready.set(lambda p: p["evaluate"].update(metrics=["cl_dice", "calibration"]))
    ready.set(lambda p: p["train"].update(optimizer={"kind": "sgd", "lr": 1e30}, schedule="constant"))
    run(ready, "plan", "train shapes unet bce", "evaluate shapes unet bce")
    folder = ready.root / "results/train/shapes/unet/bce"
    assert history.diverged_step(history.read(folder / "history.csv"), 0) == 2
    assert [path.name for path in folder.iterdir()] == ["history.csv"]
    ready.set(tiny)
    ready.set(lambda p: p["train"].update(optimizer={"kind": "adamw", "lr": 0.004}, schedule="one_cycle"))
    run(ready, "plan", "train shapes unet dice", "evaluate shapes unet dice", "compare", "report")
    board = json.loads((ready.root / "results/compare/leaderboard.json").read_text(encoding="utf-8"))
    lost = [row for row in board if row["loss"] == "bce"]
    assert {row["verdict"] for row in lost} == {"diverged", "not judged"}, "the one metric that decides, and the others"
    assert {row["status"] for row in lost} == {"diverged: 1 of 1 seeds, first at step 2"}
    assert all(row["mean"] is not None for row in board if row["loss"] == "dice")
    assert {row["metric"] for row in board} >= {"cl_dice", "ece", "brier"}
    page = (ready.root / "results/report.html").read_text(encoding="utf-8")
    assert "diverged: 1 of 1" in page
    assert "clDice" in page
    assert "Betti" not in page


def test_a_tracking_server_that_is_down_costs_a_warning(ready: Project) -> None:
    done = ready.stage("train", "shapes", "unet", "dice", **NO_SERVER)
    assert done.returncode == 0, done.stderr
    assert "warning: MLflow is not up to date" in done.stdout + done.stderr
    assert "run `make track` once that is mended" in done.stdout + done.stderr
    assert (ready.root / "results/train/shapes/unet/dice/seed0.safetensors").is_file()


def test_every_seed_draws_its_training_images_anew_the_same_for_every_loss(ready: Project) -> None:
    ready.set(lambda p: p["datasets"]["shapes"]["extract"].update(train_images=8, val_images=4))
    ready.set(lambda p: p["train"].update(resample=True, seeds=[0, 1], epochs=1))
    run(ready, "plan", "extract shapes", "train shapes unet dice", "train shapes unet bce")
    assert len(tensors.read(ready.root / "data/tensors/shapes/train.safetensors").ids) == 16, "all that are not val's"
    folder = ready.root / "results/train/shapes/unet"
    means = {}
    for loss in ("dice", "bce"):
        for seed in (0, 1):
            with safe_open(folder / loss / f"seed{seed}.safetensors", "np") as file:
                said = json.loads(file.metadata()["losslab"])
            assert said["train"]["drawn"] == 8
            means[loss, seed] = said["mean"]
    assert means["dice", 0] == means["bce", 0]
    assert means["dice", 0] != means["dice", 1], "what images are normalised by is of a seed's own"
    steps = {row.step for row in history.read(folder / "dice/history.csv")}
    assert max(steps) == 2, "eight images in batches of four"


def test_where_all_images_are_trained_on_there_is_nothing_to_draw(ready: Project) -> None:
    ready.set(lambda p: p["datasets"]["shapes"]["extract"].update(train_images=None))
    ready.set(lambda p: p["train"].update(resample=True))
    refused = ready.stage("plan")
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: params.yaml: train.resample: shapes is trained on every image that it has, so there is nothing to draw;"
        " give datasets.shapes.extract.train_images, if its kind has that, or remove train.resample\n"
    )


def test_scores_count_every_pixel_and_boundary(ready: Project) -> None:
    ready.set(lambda p: p["evaluate"].update(metrics=list(scores.EXTRAS)))
    run(ready, "plan", "train shapes unet dice", "evaluate shapes unet dice")
    folder = ready.root / "results/evaluate/shapes/unet/dice"
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 * 5 * 2, "images × classes × threshold rules"
    assert {sum(int(row[k]) for k in ("tp", "fp", "fn", "tn")) for row in rows} == {64 * 64}
    boundaries = boundary_scores.read(folder / "boundaries.csv")
    truth = tensors.read(ready.root / "data/tensors/shapes/test.safetensors")
    predicted = predictions.read(folder / "predictions/seed0.safetensors", 64)
    expected = compare_boundaries(torch.from_numpy(predicted), torch.from_numpy(truth.masks), 2)
    np.testing.assert_allclose(boundaries.values["tuned"][0], expected, rtol=1e-6)
    extras = scores.read_extras(folder, scores.read(folder / "scores.csv"))
    masks = torch.from_numpy(predicted)[None], torch.from_numpy(truth.masks)
    for metric, values in measure(scores.EXTRAS.keys() - {"calibration"}, *masks).items():
        np.testing.assert_array_equal(extras[metric]["tuned"], values)
    calibration = extras["calibration"]["tuned"][0]
    np.testing.assert_array_equal(calibration, extras["calibration"]["fixed"][0])
    assert (calibration[..., -1] > 0).all()
    assert (calibration[..., -1] <= 64 * 64).all(), "squared errors of so many pixels"


def test_a_damaged_tensor_file_is_one_line(ready: Project) -> None:
    path = ready.root / "data/tensors/shapes/train.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    done = ready.stage("train", "shapes", "unet", "dice")
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/tensors/shapes/train.safetensors: damaged")
    assert len(done.stderr.splitlines()) == 1
    assert not (ready.root / "results/train/shapes/unet/dice").exists()


def test_results_that_cannot_be_written_are_one_line(ready: Project) -> None:
    (ready.root / "results/train").write_text("a file where a folder should be", encoding="utf-8")
    done = ready.stage("train", "shapes", "unet", "dice")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "results/train" in done.stderr
    (ready.root / "results/train").unlink()
    assert ready.stage("train", "shapes", "unet", "dice").returncode == 0


def test_a_disk_that_fills_up_leaves_nothing_half_written(ready: Project) -> None:
    shutil.rmtree(ready.root / "data/tensors")
    script = f"import runpy, sys; sys.argv[1:] = ['shapes']; sys.path.insert(0, {str(ready.root)!r}); "
    script += "runpy.run_module('pipeline.extract', run_name='__main__')"

    def small_disk() -> None:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (20_000, 20_000)
        )  # writing beyond raises OSError, as a full disk does
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ready.root, capture_output=True, text=True, preexec_fn=small_disk
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert list((ready.root / "data/tensors").iterdir()) == []
    assert ready.stage("extract", "shapes").returncode == 0


# What `python -m pipeline.train shapes unet dice` runs, without MLflow, which takes seconds to import.
TRAIN = """
import os, runpy, sys
from losslab.results import checkpoints
from losslab.tracking import sync
sync.epoch = lambda run, rows, device: print("an epoch", flush=True)
sys.argv[1:] = ["shapes", "unet", "dice"]
"""
STAGE = "runpy.run_module('pipeline.train', run_name='__main__', alter_sys=True)"


def start(project: Project, *script: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": "src"}
    command = [sys.executable, "-c", "\n".join((TRAIN, *script))]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=project.root, env=env, stdout=pipe, stderr=pipe, text=True)


def test_killed_in_the_middle_of_a_checkpoint_it_ends_with_the_same_bytes(ready: Project) -> None:
    ready.set(lambda p: p["train"].update(epochs=3))
    run(ready, "plan")
    dies = """
def replace(path, target):
    if list(path.parent.parent.glob("*.pt")):  # the second checkpoint is written, and not yet in place
        os.kill(os.getpid(), 9)
    os.replace(path, target)
checkpoints.Path.replace = replace
"""
    killed = start(ready, dies, STAGE)
    assert killed.communicate() == ("an epoch\n", "")
    assert killed.returncode == -signal.SIGKILL
    assert len([path for path in ready.root.rglob(".tmp-*") if path.is_dir()]) == 1, "of the checkpoint"

    # It goes on with the second epoch; then all again with no checkpoint, in the same process.
    again = "os.rename('checkpoints', 'old'), os.rename('results/train', 'old/train')"
    resumed = start(ready, STAGE, again, "print('undisturbed')", STAGE)
    output, errors = resumed.communicate()
    assert (output, errors) == (2 * "an epoch\n" + "undisturbed\n" + 3 * "an epoch\n", "")
    assert list(ready.root.rglob(".tmp-*")) == []
    models = [ready.root / folder / "train/shapes/unet/dice/seed0.safetensors" for folder in ("old", "results")]
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_stage_at_once_and_keeps_its_state(ready: Project, number: signal.Signals) -> None:
    ready.set(lambda p: p["train"].update(epochs=1_000_000))
    run(ready, "plan")
    process = start(ready, STAGE)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate(timeout=60)[1] == "stopped; run again to go on\n"
    assert process.returncode == 128 + number
    assert len(list((ready.root / "checkpoints").glob("*.pt"))) == 1
    assert list(ready.root.rglob(".tmp-*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_out_of_memory_names_the_batch_size(ready: Project) -> None:
    ready.set(lambda p: (p["train"].update(batch_size=12), p["networks"]["unet"].update(width=256)))
    run(ready, "plan")
    limit = """
import resource
from losslab.training import seeds
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
"""
    process = start(ready, limit, STAGE)
    message = "out of memory with 12 images at once; try 6, or smaller images or a smaller network\n"
    assert process.communicate()[1] == f"error: params.yaml: train.batch_size: {message}"
    assert process.returncode == 1
    assert list(ready.root.rglob(".tmp-*")) == []
    assert list(ready.root.rglob("*.pt")) == []
