"""The driver of `make` stopped, as by Ctrl-Z, killed, and with a clock that jumps: it ends as if nothing had been."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml
from jumping_clock import COMPILER, JumpingClock
from mlflow import MlflowClient
from projects import Project, new_repository

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

YEAR, DAY = 31_556_952, 86_400
JUMPS = (0, -20 * YEAR, 20 * YEAR, -3 * DAY, 3 * DAY, -90, 90)
"""Seconds from now that the clock jumps to, one after the other."""


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Project:
    """A repository in which nothing has run."""
    project = new_repository(tmp_path_factory.mktemp("new"))
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    project.set(lambda p: p["train"].update(epochs=20))
    return project


@pytest.fixture(scope="module")
def wanted(new: Project, tmp_path_factory: pytest.TempPathFactory) -> object:
    """What dvc.lock says where nothing disturbed the run."""
    undisturbed = new.copy(tmp_path_factory.mktemp("undisturbed") / "project")
    done = undisturbed.stage("run", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    return lock_of(undisturbed)


def lock_of(project: Project) -> object:
    return yaml.safe_load((project.root / "dvc.lock").read_text(encoding="utf-8"))


def start(project: Project, log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The driver of `make`, MLflow told as it goes, all that it says written to `log`."""
    everything = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")} | dict(env or {})
    everything.pop("LOSSLAB_MLFLOW", None)
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.run", "--jobs", "2"],
            cwd=project.root, env=everything, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip


def check(project: Project, driver: "subprocess.Popen[bytes]", log: Path, wanted: object) -> None:
    """That it ended as it would have undisturbed."""
    driver.wait(900)
    said = log.read_text(encoding="utf-8")
    assert driver.returncode == 0, said
    assert "warning" not in said
    assert lock_of(project) == wanted
    assert project.repro() == []
    assert '"pid"' not in (project.root / ".dvc/tmp/rwlock").read_text(encoding="utf-8")
    client = MlflowClient(f"sqlite:///{project.root / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("shapes").experiment_id
    runs = client.search_runs([experiment], "tags.loss != ''")
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    assert {run.data.tags["stage"] for run in runs} == {"evaluated"}
    assert all(run.data.metrics["seconds"] > 0 for run in runs)


def test_stopped_and_continued_it_ends_as_if_nothing_had_been(new: Project, wanted: object, tmp_path: Path) -> None:
    """All of it at once, and one process while the others go on; a second `make` meanwhile is refused."""
    project, log, draw = new.copy(tmp_path / "project"), tmp_path / "log", random.Random(0)
    driver, stops, refused = start(project, log), 0, None
    main = psutil.Process(driver.pid)
    while driver.poll() is None:
        with suppress(psutil.NoSuchProcess):
            family = [main, *main.children(recursive=True)]
            chosen = family if stops % 2 == 0 else [draw.choice(family)]
            each_that_lives(chosen, "suspend")
            stops += 1
            training = any((project.root / "checkpoints").glob("*.pt"))
            if training and refused is None and len(chosen) > 1:
                refused = project.stage("run")
            time.sleep(draw.uniform(0.2, 2))
            each_that_lives(chosen, "resume")
        time.sleep(draw.uniform(0.2, 1))
    assert stops >= 10
    assert refused is not None
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: another `make` or `losslab decide` is at work in this folder")
    check(project, driver, log, wanted)


def test_killed_at_random_it_ends_as_if_nothing_had_been(new: Project, wanted: object, tmp_path: Path) -> None:
    """The driver alone, thirty times; the next one starts before all that the last one started is gone."""
    project, log, draw = new.copy(tmp_path / "project"), tmp_path / "log", random.Random(0)
    for _ in range(30):
        driver = start(project, log)
        with suppress(subprocess.TimeoutExpired):
            driver.wait(draw.uniform(0.5, 15))
        driver.kill()
        driver.wait()
    check(project, start(project, log), log, wanted)
    assert not [path for path in project.root.rglob(".tmp-*") if ".dvc" not in path.parts]


def each_that_lives(processes: list[psutil.Process], what: str) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            getattr(process, what)()


@pytest.mark.skipif(COMPILER is None, reason="no C compiler, which the clock is made with")
def test_a_clock_that_jumps_changes_nothing(new: Project, wanted: object, tmp_path: Path) -> None:
    """By decades, days and seconds, forth and back, through all stages."""
    project, log, clock = new.copy(tmp_path / "project"), tmp_path / "log", JumpingClock(tmp_path)
    clock.jump(JUMPS[1])
    year = subprocess.run(["date", "+%Y"], env=os.environ | clock.env, capture_output=True, text=True).stdout
    assert int(year) == time.gmtime(time.time() + JUMPS[1]).tm_year
    driver, jumps = start(project, log, clock.env), 0
    while driver.poll() is None:
        clock.jump(JUMPS[jumps % len(JUMPS)])
        jumps += 1
        with suppress(subprocess.TimeoutExpired):
            driver.wait(1)
    assert jumps > len(JUMPS)
    check(project, driver, log, wanted)
