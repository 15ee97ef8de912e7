"""The driver of `make`: cells side by side, a failure that stops no other, and nothing that outlives it."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from coco_world import wait_for
from projects import ROOT, Project, edit, new_project, new_repository

DRIVER = (sys.executable, "-m", "pipeline.run")


@pytest.fixture
def repository(tmp_path: Path, shapes: Path) -> Project:
    """A small repository in which nothing has run."""
    project = new_repository(tmp_path)
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    return project


def processes(root: Path) -> list[psutil.Process]:
    """What runs with this folder as its working directory."""
    alive = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == root and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return alive


def test_a_cell_that_fails_is_named_and_the_others_are_done(repository: Project) -> None:
    dice = repository.root / "src/losslab/losses/overlap/dice.py"
    edit(dice, "return ", "raise SystemExit('error: this loss is broken')\n        return ")
    failed = repository.run(*DRIVER, "--jobs", "2")
    assert failed.returncode == 1
    assert "error: shapes unet dice: this loss is broken" in failed.stderr
    assert "the other cells are done; mend it and run it again" in failed.stderr
    assert (repository.root / "results/evaluate/shapes/unet/bce/scores.csv").is_file()
    assert not (repository.root / "results/report.html").exists()

    dice.write_text((ROOT / "src/losslab/losses/overlap/dice.py").read_text(encoding="utf-8"), encoding="utf-8")
    done = repository.run(*DRIVER, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "shapes unet dice: done" in said
    assert "shapes unet bce" not in said, "what was done is not done again"
    assert "git add" not in said, "DVC's advice after each stage stays out"
    assert (repository.root / "results/report.html").is_file()
    assert repository.repro() == []


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGHUP))],
)
def test_a_driver_that_is_ended_ends_all_that_it_started_first(repository: Project, number: signal.Signals) -> None:
    with long_training(repository) as driver:
        driver.send_signal(number)
        assert driver.wait(60) == 128 + number
        assert processes(repository.root) == [], "the prompt returns when nothing is left"


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_nothing_that_trains_on(repository: Project) -> None:
    with long_training(repository) as driver:
        driver.kill()
        driver.wait(60)
        wait_for(lambda: not processes(repository.root), 60)
        assert processes(repository.root) == []


def long_training(project: Project) -> subprocess.Popen[str]:
    """A driver whose two trainings have both begun, and would go on for long."""
    project.set(lambda p: p["train"].update(epochs=100_000))
    env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    driver = subprocess.Popen(
        [*DRIVER, "--jobs", "2"], cwd=project.root, env=env | {"LOSSLAB_MLFLOW": "off"}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: len(list((project.root / "checkpoints").glob("*.pt"))) == 2, 240)
    return driver


@pytest.mark.parametrize("driver", ["run", "decide"])
def test_a_second_driver_is_refused_in_a_line(repository: Project, driver: str) -> None:
    lock = repository.root / ".dvc/tmp/driver.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as the first driver holds it
        refused = repository.stage(driver)
    line = "error: another `make` or `losslab decide` is at work in this folder; wait for it or end it"
    assert (refused.returncode, refused.stderr.strip()) == (1, line)


@pytest.mark.slow
def test_of_two_drivers_at_once_from_a_clean_state_one_does_all_and_one_is_refused(repository: Project) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [one.result() for one in [pool.submit(repository.run, *DRIVER, "--jobs", "2") for _ in range(2)]]
    refused, done = sorted(both, key=lambda one: -one.returncode)
    assert (refused.returncode, done.returncode) == (1, 0), refused.stderr + done.stderr
    assert refused.stderr.startswith("error: another `make` or `losslab decide` is at work in this folder")
    assert (repository.root / "results/report.html").is_file()
    assert repository.repro() == []


def test_no_jobs_are_refused_in_a_line(repository: Project) -> None:
    refused = repository.run(*DRIVER, "--jobs", "0")
    assert refused.returncode == 1
    assert refused.stderr == "error: --jobs: 0 is not ≥ 1\n"


def test_an_archive_without_its_history_is_told_what_it_lacks(tmp_path: Path) -> None:
    """What `git archive` writes has .dvc/config and no .git."""
    project = new_project(tmp_path / "export")
    (project.root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", project.root / ".dvc")
    refused = project.run(*DRIVER, "--jobs", "2")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        f"error: {project.root} is in no git repository, and DVC needs one: `git init`, then again\n"
    )
    assert project.run("git", "init", "--quiet").returncode == 0
    assert project.run("dvc", "repro", "plan").returncode == 0
