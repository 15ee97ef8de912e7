"""Kills, signals, full disks, second processes: nothing is lost or half-written, and one line says what to do."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, new_project
from mlflow import MlflowClient

LOSSES = ("bce", "dice")
STARTED = re.compile(r"Running stage '(.*)'")


def repository(root: Path, shapes: Path, epochs: int) -> Project:
    project = new_project(root)
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc" / "plots", project.root / ".dvc" / "plots")
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
    """When to kill which stage: after a share of its usual time, when a file appears, or at dvc.lock."""

    durations: dict[str, float]
    moments: dict[str, list[float | str]]
    done: Counter[str] = field(default_factory=Counter)

    def run(self, project: Project) -> bool:
        """Start `dvc repro` and kill all of it at the next moment; whether it came to its end instead."""
        process = start(project, "dvc", "repro")
        assert process.stdout
        stage = ""
        said = []
        for line in process.stdout:
            said.append(line)
            if found := STARTED.match(line):
                stage = found[1]
                waiting = self.moments.get(stage)
                if waiting and waiting[0] != "lock":
                    self.wait(project, process, stage, waiting.pop(0))
                    return self.kill(process, stage)
            elif line.startswith("Updating lock file") and self.moments.get(stage, [""])[0] == "lock":
                self.moments[stage].pop(0)
                return self.kill(process, stage)
        assert process.wait() == 0, "".join(said)
        return True

    def wait(self, project: Project, process: subprocess.Popen[str], stage: str, moment: float | str) -> None:
        began = time.monotonic()
        if isinstance(moment, float):
            time.sleep(moment * self.durations[stage])
            return
        while not list(project.root.glob(moment)) and time.monotonic() - began < 60:
            assert process.poll() is None, f"{stage} ended before {moment} was there"

    def kill(self, process: subprocess.Popen[str], stage: str) -> bool:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.done[stage] += 1
        return False


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_at_any_moment_it_ends_as_if_nothing_had_been(shapes: Path, tmp_path: Path) -> None:
    undisturbed, killed = (repository(tmp_path / name, shapes, epochs=20) for name in ("undisturbed", "killed"))
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
        "code": [draw(), "results/.tmp-*", "lock"],
        "download@shapes": [draw(), "data/raw/.tmp-*", "lock"],
        "extract@shapes": [draw(), "data/tensors/.tmp-*", "lock"],
        "compare": [draw(), "results/.tmp-*", "lock"],
        "report": [draw(), draw(), "results/.tmp-*", "lock"],
    }
    for loss in LOSSES:
        moments[f"train@shapes-{loss}"] = ["checkpoints/*.pt", "checkpoints/.tmp-*", draw(), draw(), "lock"]
        moments[f"evaluate@shapes-{loss}"] = [draw(), "results/predictions/shapes/.tmp-*", "lock"]
    planned = sum(map(len, moments.values()))
    kills, mended = Kills(durations, moments), 0
    while not kills.run(killed):
        mended += bool(killed.run(sys.executable, "-m", "pipeline.recover").stdout)
    print(f"{sum(kills.done.values())} kills of {planned} planned: {dict(kills.done)}; recover had work {mended} times")
    assert sum(kills.done.values()) >= 20
    assert kills.done.keys() == moments.keys()
    assert yaml.safe_load((killed.root / "dvc.lock").read_text()) == wanted
    assert strays(killed.root) == []
    assert killed.repro() == []
    client = MlflowClient(f"sqlite:///{killed.root / 'mlflow.db'}")
    assert len(client.search_runs([client.get_experiment_by_name("shapes").experiment_id])) == len(LOSSES)
