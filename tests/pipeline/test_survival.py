"""`dvc repro` and `make` killed, stopped and started twice: they end as if nothing had been."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml
from mlflow import MlflowClient
from projects import ROOT, Project, new_repository

LOSSES = ("bce", "dice")
STARTED = re.compile(r"Running stage '(.*)'")


def repository(root: Path, shapes: Path, epochs: int) -> Project:
    project = new_repository(root)
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    project.set(lambda p: p["train"].update(epochs=epochs))
    return project


def start(project: Project, *command: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a terminal would start it."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        cwd=project.root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def strays(root: Path) -> list[Path]:
    return [path for path in root.rglob(".tmp-*") if ".dvc" not in path.parts]


@dataclass
class Kills:
    """When to kill which stage: after a share of its time, when a file appears, or as DVC writes its lock file."""

    durations: dict[str, float]
    moments: dict[str, list[float | str]]
    done: Counter[str] = field(default_factory=Counter)

    def run(self, project: Project) -> bool:
        """Start `dvc repro` and kill all of it at the next moment; whether it came to its end instead."""
        process = start(project, "dvc", "repro")
        assert process.stdout
        stage, said = "", []
        for line in process.stdout:
            said.append(line)
            if found := STARTED.match(line):
                stage = found[1]
            moment = next(iter(self.moments.get(stage, [])), None)
            if moment is None or (moment == "lock") != line.startswith("Updating lock file"):
                continue
            self.moments[stage].pop(0)
            self.wait(project, process, stage, moment)
            if process.poll() is not None:
                continue  # to the end of what it said
            os.killpg(process.pid, signal.SIGKILL)
            rest = process.communicate()[0]
            self.done[[stage, *STARTED.findall(rest)][-1]] += 1
            return False
        assert process.wait() == 0, "".join(said)
        return True

    def wait(self, project: Project, process: subprocess.Popen[str], stage: str, moment: float | str) -> None:
        if isinstance(moment, float):
            time.sleep(moment * min(self.durations[stage], 20))
        elif moment != "lock":
            files, lock = set(project.root.glob(moment)), written(project.root / "dvc.lock")
            while set(project.root.glob(moment)) <= files and process.poll() is None:
                if written(project.root / "dvc.lock") != lock:
                    break  # the stage is over: the file came and went between two looks


def written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_at_any_moment_it_ends_as_if_nothing_had_been(shapes: Path, tmp_path: Path) -> None:
    undisturbed, killed = (repository(tmp_path / name, shapes, epochs=10) for name in ("undisturbed", "killed"))
    durations: dict[str, float] = {}
    process = start(undisturbed, "dvc", "repro")
    assert process.stdout
    stage, began = "", time.monotonic()
    for line in process.stdout:
        if found := STARTED.match(line):
            durations[stage] = time.monotonic() - began
            stage, began = found[1], time.monotonic()
    durations[stage] = time.monotonic() - began
    assert process.wait() == 0
    wanted = yaml.safe_load((undisturbed.root / "dvc.lock").read_text())

    draw = random.Random(0).random
    moments: dict[str, list[float | str]] = {
        "plan": [draw(), "lock"],
        "download@shapes": [draw(), "data/raw/.tmp-*", "lock"],
        "extract@shapes": [draw(), "data/tensors/.tmp-*"],
        "compare": [draw(), "results/.tmp-*"],
        "report": [draw(), "results/.tmp-*", "lock"],
    }
    for loss in LOSSES:
        moments[f"tune@shapes-unet-{loss}"] = [draw(), "lock"]
        moments[f"train@shapes-unet-{loss}"] = ["checkpoints/*.pt", "checkpoints/.tmp-*", draw(), "lock"]
        moments[f"evaluate@shapes-unet-{loss}"] = [draw(), "results/evaluate/shapes/unet/.tmp-*", "lock"]
    planned = sum(map(len, moments.values()))
    kills, mended = Kills(durations, moments), 0
    while not kills.run(killed):
        mended += bool(killed.run(sys.executable, "-m", "pipeline.recover").stdout)
    print(f"{sum(kills.done.values())} kills of {planned} planned: {dict(kills.done)}; recover had work {mended} times")
    assert yaml.safe_load((killed.root / "dvc.lock").read_text()) == wanted
    assert sum(kills.done.values()) >= 20
    assert {stage.split("@")[0] for stage in kills.done} == {stage.split("@")[0] for stage in moments}
    assert strays(killed.root) == []
    assert killed.repro() == []
    client = MlflowClient(f"sqlite:///{killed.root / 'mlflow.db'}")
    shapes_id = client.get_experiment_by_name("shapes").experiment_id
    assert len(client.search_runs([shapes_id], "tags.loss != ''")) == len(LOSSES)


@pytest.fixture(scope="module")
def finished(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository in which everything has run."""
    project = repository(tmp_path_factory.mktemp("finished"), shapes, epochs=4)
    project.repro()
    return project


@pytest.fixture
def retrains(finished: Project) -> Project:
    """It, with all to be trained again, and again to be what it was."""
    shutil.rmtree(finished.root / "checkpoints", ignore_errors=True)
    shutil.rmtree(finished.root / "results/train")
    shutil.rmtree(finished.root / ".dvc/cache")
    return finished


@pytest.fixture
def endless(finished: Project) -> Iterator[Project]:
    """It, with trainings that have not begun and do not end by themselves."""
    shutil.rmtree(finished.root / "checkpoints", ignore_errors=True)
    finished.set(lambda p: p["train"].update(epochs=1_000_000))
    yield finished
    finished.set(lambda p: p["train"].update(epochs=4))


def until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process says up to a text."""
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def trains(project: Project, process: subprocess.Popen[str], count: int) -> None:
    """Until that many trainings have ended an epoch. What `make` runs side by side says nothing as it starts."""
    while len(list(project.root.glob("checkpoints/*.pt"))) < count:
        assert process.poll() is None
        time.sleep(0.1)


@pytest.mark.slow
def test_a_second_repro_at_once_says_so_and_harms_nothing(retrains: Project) -> None:
    wanted = (retrains.root / "dvc.lock").read_bytes()
    first = start(retrains, "dvc", "repro")
    until(first, "Running stage 'train@shapes-unet-bce'")
    second = retrains.run("dvc", "repro")
    assert second.returncode != 0
    assert "is busy, it is being blocked by:" in second.stderr
    assert f"(PID {first.pid}): " in second.stderr
    said = first.communicate()[0]
    assert first.returncode == 0, said
    assert (retrains.root / "dvc.lock").read_bytes() == wanted


@pytest.mark.slow
def test_two_trainings_of_one_run_give_what_one_gives(retrains: Project) -> None:
    wanted = yaml.safe_load((retrains.root / "dvc.lock").read_text())
    both = [start(retrains, sys.executable, "-m", "pipeline.train", "shapes", "unet", "bce") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    retrains.repro()
    assert yaml.safe_load((retrains.root / "dvc.lock").read_text()) == wanted
    assert strays(retrains.root) == []


def with_makefile(project: Project) -> None:
    """Put the Makefile in, to use this environment."""
    for part in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / part, project.root)
    (project.root / ".venv").mkdir(exist_ok=True)
    (project.root / ".venv/ready").touch()


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["make", "dvc"])
def test_ctrl_c_ends_every_process(endless: Project, whom: str) -> None:
    with_makefile(endless)
    process = start(endless, *(["make", "JOBS=2"] if whom == "make" else ["dvc", "repro"]))
    trains(endless, process, 2 if whom == "make" else 1)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    said = process.communicate(timeout=300)[0]  # to the end of the output, which every child holds open
    assert process.returncode != 0
    assert "stopped; run again to go on" in said
    assert "Traceback" not in said
    assert strays(endless.root) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_make_started_ends_with_make_alone(endless: Project, number: signal.Signals) -> None:
    with_makefile(endless)
    process = start(endless, "make", "JOBS=2")
    trains(endless, process, 2)
    process.send_signal(number)
    process.communicate(timeout=300)  # to the end of the output, which every child holds open
    assert process.returncode != 0
    assert [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(endless.root)] == []
    assert endless.run("dvc", "repro", "plan").returncode == 0, "nothing is busy"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stage_ends_with_the_dvc_that_started_it(endless: Project, number: signal.Signals) -> None:
    process = start(endless, "dvc", "repro")
    trains(endless, process, 1)
    process.send_signal(number)
    assert "stopped; run again to go on" in process.communicate(timeout=300)[0]
    assert strays(endless.root) == []


@pytest.mark.slow
def test_a_clock_that_jumps_runs_nothing(finished: Project) -> None:
    finished.repro()
    for seconds in (0, 2**32):  # 1970 and 2106
        for path in finished.root.rglob("*"):
            if not {".git", ".dvc"} & set(path.parts) and not path.is_symlink():
                os.utime(path, (seconds, seconds))
        assert finished.repro() == []
