"""Outputs are whole or not there, whoever is killed, whatever disk is full, however many write at once."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from projects import ROOT

from losslab.errors import exit_on_error
from losslab.inference import model_file
from losslab.results import checkpoints, history, predictions, scores
from losslab.results.files import atomic_file, atomic_folder, write_json

WRITERS: dict[str, Callable[[Path], Any]] = {
    "results.json": lambda path: write_json(path, ["x" * 100] * 100),
    "history.csv": lambda path: history.write(path, 999 * [history.Row(0, 1, 1, "train", "loss", 0.1)]),
    "scores.csv": lambda path: scores.write(
        path, map(str, range(999)), ["a"], {0: {rule: np.ones((999, 1, 4), np.int64) for rule in scores.THRESHOLDS}}
    ),
    "masks.safetensors": lambda path: predictions.write(path, np.ones((9, 1, 99, 99), np.bool_)),
    "model.safetensors": lambda path: model_file.save(path, {"weight": torch.ones(9999)}, {}),
    "key.pt": lambda path: checkpoints.save("key", {"weight": torch.ones(9999)}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_and_the_old_content_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path)
    path = tmp_path / name
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # writing beyond fails, as on a full disk
    try:
        with pytest.raises(SystemExit) as caught:
            exit_on_error(lambda: WRITERS[name](path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"error: {path}: File too large"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    WRITERS[name](path)
    assert path.stat().st_size > 5000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_no_space_left_is_said_of_the_file(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_file(tmp_path / "x") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("x")

    with pytest.raises(SystemExit, match=f"^error: {tmp_path / 'x'}: No space left on device$"):
        exit_on_error(write)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit, match=f"^error: {tmp_path}/.*: Permission denied$"):
        exit_on_error(lambda: write_json(tmp_path / "x", 1))


def run(script: str, folder: Path) -> subprocess.Popen[str]:
    script = f"from pathlib import Path; import os; from losslab.results.files import *\n{script}"
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, text=True)


@pytest.mark.parametrize("kind", ["atomic_file", "atomic_folder"])
def test_what_a_killed_process_left_goes_with_the_next(kind: str, tmp_path: Path) -> None:
    killed = run(f"with {kind}(Path('x')) as t: os.kill(os.getpid(), 9)", tmp_path)
    assert killed.wait() == -signal.SIGKILL
    assert len(list(tmp_path.glob(".tmp-*"))) == 1
    (tmp_path / ".tmp-killed-before-it-had-a-lock").mkdir()
    with atomic_file(tmp_path / "mine") as mine:
        assert list(tmp_path.glob(".tmp-*")) == [mine.parent]
        with atomic_file(tmp_path / "another's") as other:
            other.touch()
        mine.write_text("what the living write stays")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another's", "mine"]


def test_processes_that_replace_one_folder_at_once_all_succeed(tmp_path: Path) -> None:
    script = """
for turn in range(100):
    with atomic_folder(Path("x")) as folder:
        for name in "abc":
            (folder / name).write_text(str(os.getpid()))
    with atomic_file(Path("y")) as file:
        file.write_text(str(os.getpid()))
"""
    processes = [run(script, tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len({path.read_text() for path in (tmp_path / "x").iterdir()}) == 1, "one process's folder, whole"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c", "x", "y"]


def test_a_failure_keeps_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/old").touch()
    with suppress(ValueError), atomic_folder(tmp_path / "x") as folder:
        (folder / "new").touch()
        raise ValueError
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "old"]


def test_json_is_utf_8_in_a_locale_that_is_not(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from losslab.results.files import write_json; "
    program += r"write_json(Path(sys.argv[1]), '\u5c71')"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.json"], env=environment, check=True)
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '"山"\n'
