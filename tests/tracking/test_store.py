"""The store: the database, a server, and when either cannot be used."""

import fcntl
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import mlflow.pytorch
import pytest
from mlflow import MlflowClient
from mlflow_servers import dripping_server, free_port, tracking_server
from projects import Project
from tracked import DICE, NAMES, first_run, logged_runs, planned, points

from losslab.results import history, paths
from losslab.settings import params
from losslab.tracking import store, sync


def test_artifacts_of_every_data_set_lie_in_mlartifacts(ready: Project) -> None:
    for dataset in ("shapes", "pets"):
        client, experiment = store.connect(dataset)
        location = client.get_experiment(experiment).artifact_location
        assert location == (ready.root / "mlartifacts" / dataset).as_uri()


def test_a_locked_database_is_named_once_and_later_caught_up_with(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "SECONDS_FOR_LOCK", 0.1)
    run = first_run()
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    with closing(sqlite3.connect("mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            sync.epoch(run, rows, "cpu")
    shown = capsys.readouterr().out
    assert shown.count("warning: ") == 1, "not at every epoch"
    assert f"{ready.root}/mlflow.db is locked by another program: close that program" in shown
    monkeypatch.setattr(sync, "_retry_at", 0.0)
    sync.epoch(run, rows, "cpu")
    assert logged_runs()["unet-dice-seed0"].data.tags["stage"] == "trained"


def test_a_process_that_is_killed_while_it_makes_the_database_leaves_none(ready: Project) -> None:
    Path("mlflow.db").unlink()
    script = "from losslab.tracking import store; store.connect('shapes')"
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    while not (tables := list(ready.root.glob(".tmp-*/mlflow.db"))) or not tables[0].stat().st_size:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert Path("mlflow.db").stat().st_size == 0
    client, experiment = store.connect("shapes")
    assert client.get_experiment(experiment).name == "shapes"
    assert not list(ready.root.glob(".tmp-*"))


def test_a_database_that_is_named_with_options_is_made_too(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{ready.root}/other.db?timeout=30")
    client, experiment = store.connect("shapes")
    assert client.get_experiment(experiment).name == "shapes"
    assert [path.name for path in ready.root.glob("other.db*")] == ["other.db"]


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
    monkeypatch.setattr(sync, "_retry_at", 0.0)
    assert sync.cell(planned())


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
    run = first_run()
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    with tracking_server(folder, port):
        sync.epoch(run, [row for row in rows if row.epoch == 1], "cpu")
        assert logged_runs()["unet-dice-seed0"].info.status == "RUNNING"
    capsys.readouterr()
    sync.epoch(run, rows, "cpu")  # the server is gone in mid-run
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out
    monkeypatch.setattr(sync, "_retry_at", 0.0)
    with tracking_server(folder, port):
        for _ in range(2):
            assert sync.everything(settings)
        shown = logged_runs()
        assert set(shown) == NAMES | {"report"}
        assert points(shown["unet-dice-seed0"], "val_miou") == [(r.step, r.value) for r in rows if r.metric == "miou"]
        client = MlflowClient(f"http://127.0.0.1:{port}")
        champion = client.get_model_version_by_alias("losslab-shapes", "champion")
        assert champion.version == "1"

        assert mlflow.pytorch.load_model("models:/losslab-shapes@champion") is not None
        assert {item.path for item in client.list_artifacts(shown["report"].info.run_id)} == {"figures", "report.html"}
        assert "sample.png" in {item.path for item in client.list_artifacts(shown["unet-dice-seed0"].info.run_id)}
    assert not (ready.root / "mlflow.db").exists(), "all went to the server"
    assert any((folder / "artifacts").rglob("model.pt2")), "artifacts too"


def test_a_server_that_drips_bytes_is_given_up_on_and_holds_no_process(ready: Project) -> None:
    """In a process of its own, which must come to its end with the thread that still reads."""
    script = """
import mlflow
from tracked import DICE, first_run
from losslab.results import history, paths
from losslab.tracking import store, sync
sync.SECONDS_FOR_RUN = 3.0
store.SECONDS_FOR_TURN = 1.0
rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
for _ in range(2):
    sync.epoch(first_run(), rows, "cpu")
    sync._retry_at = 0.0
with store.lock():
    print("training goes on, and other trainings do")
"""
    with dripping_server() as url:
        done = ready.run(
            sys.executable, "-c", script, PYTHONPATH=":".join(sys.path), MLFLOW_TRACKING_URI=url, LOSSLAB_MLFLOW="on"
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"warning: MLflow is not up to date ({url}: no whole answer in 3 seconds); "
        "run `make track` once that is mended",
        "training goes on, and other trainings do",
    ]


def test_a_process_that_holds_the_lock_for_good_stops_no_other(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "SECONDS_FOR_TURN", 0.2)
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    with (ready.root / "mlflow.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sync.epoch(first_run(), rows, "cpu")
    assert f"{ready.root}/mlflow.db.lock is held by another process of this project" in capsys.readouterr().out
    monkeypatch.setattr(sync, "_retry_at", 0.0)
    sync.epoch(first_run(), rows, "cpu")
    assert logged_runs()["unet-dice-seed0"].data.tags["stage"] == "trained"


def test_a_process_that_was_stopped_has_not_waited_meanwhile(ready: Project) -> None:
    """Stopped for longer than it waits for MLflow's answer and for its turn."""
    script = """
import threading
import time
from losslab.tracking import store, sync
sync.SECONDS_FOR_RUN = store.SECONDS_FOR_TURN = 2.0
sync.PARTS = 20

def turn():
    with store.lock():
        print("its turn")

waiting = threading.Thread(target=turn)
waiting.start()
print("begin", flush=True)
sync._within(sync.SECONDS_FOR_RUN, lambda: [time.sleep(0.1) for _ in range(5)])
print("answered")
waiting.join()
"""
    with (ready.root / "mlflow.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout
        assert process.stdout.readline() == "begin\n"
        for seconds, number in ((0.2, signal.SIGSTOP), (2.5, signal.SIGCONT)):
            time.sleep(seconds)
            process.send_signal(number)
        time.sleep(0.2)  # it finds the lock held when it goes on
    assert sorted(process.communicate(timeout=60)[0].splitlines()) == ["answered", "its turn"]
    assert process.returncode == 0


def test_an_experiment_that_was_deleted_is_restored(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sync.cell(planned())
    before = logged_runs()
    client, experiment = store.connect("shapes")
    client.delete_experiment(experiment)
    store.disconnect()
    assert sync.cell(planned())
    assert "MLflow: the experiment shapes had been deleted; it is restored, with its runs" in capsys.readouterr().out
    assert logged_runs().keys() == before.keys()
    client.delete_experiment(experiment)  # as this process goes on
    sync.cell(planned())
    monkeypatch.setattr(sync, "_retry_at", 0.0)
    assert sync.cell(planned())
    assert client.get_experiment(experiment).lifecycle_stage == "active"
