"""MLflow says what the files say: with the database, with a server, and when either cannot be used."""

import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import mlflow.pytorch
import numpy as np
import pytest
import torch
import urllib3
from coco_world import wait_for
from mlflow import MlflowClient
from mlflow.entities import Run
from projects import Project, new_project

from losslab import tracking
from losslab.inference import model_file
from losslab.results import history, runs
from losslab.settings import params
from losslab.tracking import store


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Project:
    """A project with all its results and nothing in MLflow."""
    project = new_project(tmp_path_factory.mktemp("finished"))
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    project.set(lambda p: p["train"].update(seeds=[0, 1]))
    stages = [("code",), ("download", "shapes"), ("extract", "shapes")]
    stages += [(stage, "shapes", loss) for loss in ("bce", "dice") for stage in ("train", "evaluate")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        patch.setenv("LOSSLAB_MLFLOW", "off")
        for stage, *arguments in (*stages, ("compare",), ("report",)):
            patch.setattr(sys, "argv", [stage, *arguments])
            importlib.import_module(f"pipeline.{stage}").main()
    MlflowClient(f"sqlite:///{project.root}/mlflow.db")  # empty: made once, because that takes seconds
    return project


@pytest.fixture
def ready(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, to be the working directory, before this process has spoken to MLflow."""
    shutil.copytree(finished.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("LOSSLAB_MLFLOW", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("_retry_at", 0.0), ("_spent", {}), ("_logged", {})):
        monkeypatch.setattr(tracking, name, value)
    return Project(tmp_path)


def found(dataset: str = "shapes") -> dict[str, Run]:
    """The runs in the store, by name."""
    client, experiment = store.connect(dataset)
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def points(run: Run, metric: str) -> list[tuple[int, float]]:
    client, _ = store.connect("shapes")
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric))


def test_a_reviewer_finds_everything_and_a_second_time_adds_nothing(ready: Project) -> None:
    for _ in range(2):
        assert tracking.sync_everything(params.load())
        shown = found()
        assert set(shown) == {"bce-seed0", "bce-seed1", "dice-seed0", "dice-seed1", "report"}
        client, _ = store.connect("shapes")
        assert len(client.search_model_versions("name = 'losslab-shapes'")) == 1
    dice = shown["dice-seed0"]
    rows = [row for row in history.read(runs.history_file("shapes", "dice")) if row.seed == 0]
    assert points(dice, "val_miou") == [(row.step, row.value) for row in rows if row.metric == "miou"]
    about = tracking._about(Path("results/models/shapes/dice/seed0.safetensors"))
    assert dice.data.metrics["threshold"] == about["threshold"]
    assert {"test_miou_tuned", "test_dice_fixed", "test_iou_tuned_star", "test_hd95_tuned"} <= set(dice.data.metrics)
    assert (dice.data.tags["verdict"], shown["bce-seed0"].data.tags["verdict"]) == ("n too small", "baseline")
    assert (dice.data.tags["loss"], dice.data.tags["seed"], dice.data.tags["stage"]) == ("dice", "0", "evaluated")
    artifacts = {item.path for item in client.list_artifacts(shown["report"].info.run_id)}
    assert artifacts == {"figures", "report.html"}
    variants = [shown[name].data.tags["variant"] for name in ("dice-seed0", "dice-seed1", "bce-seed0")]
    assert variants[0] == variants[1] != variants[2]
    assert "| dice |" in shown["report"].data.tags["mlflow.note.content"]
    board = json.loads(Path("results/leaderboard.json").read_text())
    tuned = {row["loss"]: row["low"] for row in board if (row["metric"], row["threshold"]) == ("miou", "tuned")}
    best = [run for run in shown.values() if run.data.tags.get("champion") == "true"]
    assert [run.data.tags["loss"] for run in best] == [max(tuned, key=lambda loss: tuned[loss])]
    assert client.get_model_version_by_alias("losslab-shapes", "champion").run_id == best[0].info.run_id


def test_artifacts_of_every_data_set_lie_in_mlartifacts(ready: Project) -> None:
    for dataset in ("shapes", "pets"):
        client, experiment = store.connect(dataset)
        location = client.get_experiment(experiment).artifact_location
        assert location == (ready.root / "mlartifacts" / dataset).as_uri()


@pytest.mark.slow
def test_another_champion_is_another_version_and_the_old_one_comes_back(ready: Project) -> None:
    board = Path("results/leaderboard.json")
    whole = board.read_text()
    settings = params.load()
    assert tracking.sync_everything(settings)
    client, _ = store.connect("shapes")
    first = client.get_model_version_by_alias("losslab-shapes", "champion")
    rows = json.loads(whole)
    for row in rows:
        if row["loss"] != first.tags["loss"] and row["metric"] == "miou":
            row.update(low=0.98, mean=0.99, high=1.0)
    board.write_text(json.dumps(rows))
    assert tracking.sync_everything(settings)
    second = client.get_model_version_by_alias("losslab-shapes", "champion")
    assert second.tags["loss"] != first.tags["loss"]
    assert sum(run.data.tags.get("champion") == "true" for run in found().values()) == 1
    board.write_text(whole)
    assert tracking.sync_everything(settings)
    assert client.get_model_version_by_alias("losslab-shapes", "champion").version == first.version
    assert len(client.search_model_versions("name = 'losslab-shapes'")) == 2


def test_results_of_other_params_are_not_logged(ready: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ready.set(lambda p: p["losses"]["dice"].update(smooth=0.5))
    assert tracking.sync_everything(params.load())
    assert "shapes dice: the results are of other params" in capsys.readouterr().out
    assert not [name for name in found() if name.startswith("dice")]


def test_a_killed_run_that_is_not_taken_up_again_is_ended(ready: Project) -> None:
    run = runs.of(params.load(), "shapes", "dice")[0]
    rows = history.read(runs.history_file("shapes", "dice"))
    assert tracking.sync(run, [row for row in rows if row.epoch == 1], device="cpu")
    assert found()["dice-seed0"].info.status == "RUNNING"
    ready.set(lambda p: p["losses"]["dice"].update(smooth=0.5))
    assert tracking.sync_everything(params.load())
    assert found()["dice-seed0"].info.status == "KILLED"


def test_a_run_lasts_as_long_as_its_training(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(tracking.time, "time", lambda: now)
    monkeypatch.setattr(tracking, "_last_sync", now)
    settings = params.load()
    run = runs.of(settings, "shapes", "dice")[0]
    rows = [row for row in history.read(runs.history_file("shapes", "dice")) if row.seed == 0]
    for epoch in (1, 2):
        now += 60
        tracking.sync(run, [row for row in rows if row.epoch <= epoch], device="cpu")
    now += 3600  # waiting for evaluate
    assert tracking.sync_results(settings, "shapes", "dice")
    logged = found()["dice-seed0"]
    assert logged.info.end_time - logged.info.start_time == pytest.approx(120_000, abs=1)
    assert logged.data.metrics["seconds"] == 120
    assert points(logged, "images_per_second") == [(3, 0.2), (6, 0.2)], "12 images in 60 seconds"
    assert (logged.info.status, logged.data.tags["device"]) == ("FINISHED", "cpu")


def test_a_locked_database_is_named_once_and_later_caught_up_with(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "SECONDS_FOR_LOCK", 0.1)
    run = runs.of(params.load(), "shapes", "dice")[0]
    rows = history.read(runs.history_file("shapes", "dice"))
    with closing(sqlite3.connect("mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            assert not tracking.sync(run, rows)
    shown = capsys.readouterr().out
    assert shown.count("warning: ") == 1, "not at every epoch"
    assert f"{ready.root}/mlflow.db is locked by another program: close that program" in shown
    monkeypatch.setattr(tracking, "_retry_at", 0.0)
    assert tracking.sync(run, rows)
    assert found()["dice-seed0"].data.tags["stage"] == "trained"


def test_a_damaged_database_is_named_and_made_anew(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mlflow.db").write_bytes(b"not a database" * 1000)
    monkeypatch.setattr(sys, "argv", ["losslab", "track"])
    with pytest.raises(SystemExit, match="MLflow does not have everything"):
        runpy.run_module("losslab", run_name="__main__")
    shown = capsys.readouterr().out
    assert shown.count("warning: ") == 1
    assert f"{ready.root}/mlflow.db is damaged" in shown
    assert "move it away" in shown
    Path("mlflow.db").unlink()
    monkeypatch.setattr(tracking, "_retry_at", 0.0)
    assert tracking.sync_results(params.load(), "shapes", "dice")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(*command: str, health: str) -> Iterator[None]:
    """An `mlflow` command that serves on loopback, until the block ends; it and its workers are then gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, "the server ended by itself"
        try:
            return urllib3.request("GET", health, timeout=60, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        wait_for(answers, 300)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tracking_server(folder: Path, port: int) -> AbstractContextManager[None]:
    """A server with a database behind it, that hands artifacts through."""
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--host", "127.0.0.1"]
    command += ["--artifacts-destination", f"{folder}/artifacts", "--port", str(port), "--workers", "1"]
    return serving(*command, health=f"http://127.0.0.1:{port}/health")


@pytest.mark.slow
def test_the_champion_serves_a_request(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the embedded database, and as one loads it from a notebook; unpickling is forbidden."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    assert tracking.sync_everything(params.load())
    client, _ = store.connect("shapes")
    version = client.get_model_version_by_alias("losslab-shapes", "champion")
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), np.uint8)
    loaded = mlflow.pytorch.load_model("models:/losslab-shapes@champion")
    wanted = loaded(torch.from_numpy(images)).detach().numpy()
    assert wanted.shape == (3, 5, 64, 64)
    path = runs.models_folder("shapes", version.tags["loss"]) / f"seed{version.tags['seed']}.safetensors"
    model = model_file.load(path, torch.device("cpu"))
    own = model_file.Probabilities(model).eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(wanted, own, atol=1e-6)

    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.address())
    command = ["models", "serve", "-m", "models:/losslab-shapes@champion", "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with serving(*command, health=f"http://127.0.0.1:{port}/ping"):
        where, inputs = f"http://127.0.0.1:{port}/invocations", {"inputs": images.tolist()}
        answer = urllib3.request("POST", where, json=inputs, timeout=300, retries=False)
    assert answer.status == 200, answer.data
    np.testing.assert_allclose(np.array(answer.json()["predictions"]), wanted, atol=1e-5)


@pytest.mark.slow
def test_a_server_that_stops_and_returns_has_everything_in_the_end(
    ready: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mlflow.db").unlink()
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    folder = tmp_path / "server"
    folder.mkdir()
    settings = params.load()
    run = runs.of(settings, "shapes", "dice")[0]
    rows = [row for row in history.read(runs.history_file("shapes", "dice")) if row.seed == 0]
    with tracking_server(folder, port):
        assert tracking.sync(run, [row for row in rows if row.epoch == 1], device="cpu")
    assert not tracking.sync(run, rows, device="cpu"), "the server is gone in mid-run"
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out
    monkeypatch.setattr(tracking, "_retry_at", 0.0)
    with tracking_server(folder, port):
        for _ in range(2):
            assert tracking.sync_everything(settings)
        shown = found()
        assert set(shown) == {"bce-seed0", "bce-seed1", "dice-seed0", "dice-seed1", "report"}
        assert points(shown["dice-seed0"], "val_miou") == [(r.step, r.value) for r in rows if r.metric == "miou"]
        client = MlflowClient(f"http://127.0.0.1:{port}")
        champion = client.get_model_version_by_alias("losslab-shapes", "champion")
        assert champion.version == "1"

        assert mlflow.pytorch.load_model("models:/losslab-shapes@champion") is not None
        assert {item.path for item in client.list_artifacts(shown["report"].info.run_id)} == {"figures", "report.html"}
        assert "sample.png" in {item.path for item in client.list_artifacts(shown["dice-seed0"].info.run_id)}
    assert not (ready.root / "mlflow.db").exists(), "all went to the server"
    assert any((folder / "artifacts").rglob("model.pt2")), "artifacts too"
