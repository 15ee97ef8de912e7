"""DVC's own files, cut short by a kill, no longer stop `dvc repro`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from projects import ROOT

LOCK = "schema: '2.0'\nstages:\n  plan:\n    cmd: python -m pipeline.plan\n    outs:\n    - path: x\n      md5: abc\n"


def recover(folder: Path) -> str:
    command = [sys.executable, "-m", "pipeline.recover"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_is_whole_stays_and_the_dead_are_released(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(LOCK)
    rwlock = tmp_path / ".dvc/tmp/rwlock"
    rwlock.parent.mkdir(parents=True)
    me = " ".join(Path("/proc/self/cmdline").read_text().split("\0")[:-1]) if Path("/proc").exists() else sys.executable
    alive, dead = {"pid": os.getpid(), "cmd": me}, {"pid": 2**22 + 1, "cmd": "dvc repro"}
    another = {"pid": os.getpid(), "cmd": "/venv/bin/dvc repro"}  # whose number this process has now
    rwlock.write_text(json.dumps({"write": {"a": dead, "b": another, "c": alive}, "read": {"d": [another, alive]}}))
    assert recover(tmp_path) == ""
    assert (tmp_path / "dvc.lock").read_text() == LOCK
    assert json.loads(rwlock.read_text()) == {"write": {"c": alive}, "read": {"d": [alive]}}


def test_what_is_cut_short_is_put_away(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(LOCK[:-30])
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/tmp/rwlock").write_text('{"write": {"a"')
    said = recover(tmp_path)
    assert "dvc.lock was cut short" in said
    assert "rwlock was cut short" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [".dvc", "dvc.lock.damaged"]
    assert not (tmp_path / ".dvc/tmp/rwlock").exists()
