"""The grid over the machines of a Ray cluster: nodes on this machine, and a folder as the DVC remote."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from projects import Project, new_project

pytest.importorskip("ray", reason="Ray is not installed: run `make test-ray`")
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project, committed, with a DVC remote."""
    project = new_project(tmp_path / "project")
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit(project)
    return project


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that only this machine can reach, whose head has no processors."""
    with tempfile.TemporaryDirectory(prefix="ray_", dir="/tmp") as folder:  # tmp_path is too long for Ray's sockets
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # A driver asks at the machine's outer address, where nothing listens, unless this says that there is none.
        monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        cluster = Cluster(True, head_node_args=LOOPBACK | {"num_cpus": 0}, shutdown_at_exit=False)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
        cluster.shutdown()


LOOPBACK = {"node_ip_address": "127.0.0.1", "include_dashboard": False}


def add_node(cluster: Cluster, name: str) -> Any:
    """A node with one processor, whose stages see its name as `NODE`."""
    return cluster.add_node(**LOOPBACK, num_cpus=1, env_vars={"NODE": name})


def before_training(project: Project, code: str) -> None:
    """Put a statement before each training."""
    train = project.root / "pipeline/train.py"
    line = "    plan = TrainPlan.read(*sys.argv[1:4])\n"
    start = "    import os, time\n    from pathlib import Path\n    from losslab.errors import InputError\n"
    assert line in train.read_text()
    train.write_text(train.read_text().replace(line, f"{start}    {code}\n{line}"))
    commit(project)


def commit(project: Project) -> None:
    project.run("git", "add", "--all")
    done = project.run(
        "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "as it is"
    )
    assert done.returncode == 0, done.stderr


def grid(project: Project, **env: str) -> subprocess.CompletedProcess[str]:
    return project.run("python", "-m", "pipeline.grid", **env)


def ran_here(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The stages that ran at the driver."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


BEFORE, AFTER = ["plan", "download@shapes", "extract@shapes", "weights@unet"], ["compare", "report"]
"""What the driver runs. DVC takes stages of which neither depends on the other in any order, in dvc.lock too."""


def test_two_nodes_train_and_the_driver_has_what_a_local_run_gives(
    project: Project, cluster: Cluster, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    before_training(project, f"Path({str(marks)!r}, os.environ['NODE']).write_text(os.environ['LOSSLAB_MLFLOW'])")
    local = Project(tmp_path / "local")
    shutil.copytree(project.root, local.root)
    for name in ("one", "two"):
        add_node(cluster, name)
    assert sorted(ran_here(grid(project))) == sorted([*BEFORE, *AFTER])
    assert {path.name: path.read_text() for path in marks.iterdir()} == {"one": "off", "two": "off"}
    assert project.repro() == []
    cells = [f"{stage}@shapes-unet-{loss}" for loss in ("bce", "dice") for stage in ("tune", "train", "evaluate")]
    assert sorted(local.repro(NODE="local")) == sorted([*BEFORE, *cells, *AFTER]), "everything"
    of_grid, of_local = (yaml.safe_load((each.root / "dvc.lock").read_text()) for each in (project, local))
    assert of_grid == of_local

    fresh = Project(tmp_path / "fresh")
    project.run("git", "clone", "--quiet", ".", str(fresh.root))
    fresh.set(lambda p: p["evaluate"].update(boundary_tolerance=3))
    commit(fresh)
    for mark in marks.iterdir():
        mark.unlink()
    assert ran_here(grid(fresh)) == ["plan", "download@shapes", *AFTER], "the remote has the tensors"
    assert list(marks.iterdir()) == [], "and the trainings: nodes only evaluate"
    assert fresh.repro() == []


def test_a_stage_of_a_lost_node_is_run_by_another(project: Project, cluster: Cluster, tmp_path: Path) -> None:
    project.set(lambda p: p["grid"].update(losses=["bce"]))
    marks, go, server = tmp_path / "marks", tmp_path / "go", "http://127.0.0.1:9"
    marks.mkdir()
    mark = f"Path({str(marks)!r}, os.environ['NODE']).write_text(os.environ['MLFLOW_TRACKING_URI'])"
    before_training(project, f"{mark}\n    while not Path({str(go)!r}).exists(): time.sleep(0.2)")
    nodes = {name: add_node(cluster, name) for name in ("one", "two")}
    with ThreadPoolExecutor() as pool:
        running = pool.submit(grid, project, MLFLOW_TRACKING_URI=server, LOSSLAB_MLFLOW="on")
        wait_for(marks, running)
        (first,) = (path.name for path in marks.iterdir())
        lose(cluster, nodes.pop(first))
        go.touch()
        assert sorted(ran_here(running.result())) == sorted([*BEFORE, *AFTER])
    assert {path.name: path.read_text() for path in marks.iterdir()} == {"one": server, "two": server}
    assert project.repro() == []


def test_an_interrupted_grid_leaves_nothing_on_the_nodes(project: Project, cluster: Cluster, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    before_training(project, f"Path({str(marks)!r}, 'started').touch(); time.sleep(300)")
    add_node(cluster, "one")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(grid, project)
        wait_for(marks, running)
        (driver,) = (child for child in psutil.Process().children() if "pipeline.grid" in child.cmdline())
        driver.send_signal(signal.SIGINT)
        assert running.result().returncode == 130
    assert list(Path(os.environ["TMPDIR"]).glob("losslab-*")) == []


def wait_for(marks: Path, running: Future[subprocess.CompletedProcess[str]]) -> None:
    """Until there is a mark."""
    while not list(marks.iterdir()):
        assert not running.done(), running.result()
        time.sleep(0.2)


def lose(cluster: Cluster, node: Any) -> None:
    """Kill all of a node at once, as a machine that loses power does."""
    (raylet,) = node.all_processes["raylet"]
    for process in (found := psutil.Process(raylet.process.pid)).children(recursive=True):
        process.kill()
    found.kill()
    cluster.remove_node(node, allow_graceful=False)


def test_a_stage_that_fails_is_named_and_the_others_are_done(project: Project, cluster: Cluster) -> None:
    before_training(project, "if 'dice' in sys.argv: raise InputError('no luck')")
    add_node(cluster, "one")
    done = grid(project)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: train@shapes-unet-dice (no luck); the others are done: mend it, commit, and run it again"
    )
    status = project.run("dvc", "status", "--json", "train", "evaluate").stdout
    assert set(json.loads(status)) == {"train@shapes-unet-dice", "evaluate@shapes-unet-dice"}


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ("echo '# mine' >> params.yaml", "not committed: params.yaml; commit it, for the other machines work on the"),
        ("dvc remote remove store && git commit -qam none", "no DVC remote: `dvc remote add --default NAME URL`, and"),
        ("true", "no Ray cluster: `ray start --head`, or set RAY_ADDRESS ("),
    ],
)
def test_what_is_missing_is_one_line(project: Project, spoil: str, error: str) -> None:
    names = {f"GIT_{role}_{what}": "t@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    assert project.run("sh", "-c", spoil, **names).returncode == 0
    done = grid(project, RAY_TMPDIR=str(project.root.parent), RAY_ADDRESS="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {error}")
    assert len(done.stderr.splitlines()) == 1
