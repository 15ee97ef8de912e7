"""DVC's own files, cut short by a kill, no longer stop `dvc repro`; and no damaged file of its cache is restored."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import ROOT, Project, new_repository

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
    me = (
        " ".join(Path("/proc/self/cmdline").read_text(encoding="utf-8").split("\0")[:-1])
        if Path("/proc").exists()
        else sys.executable
    )
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


def put_in_cache(folder: Path, content: bytes, suffix: str = "") -> tuple[str, Path]:
    """The md5 of what DVC's cache now has, and where."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    cached = folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(content)
    cached.chmod(0o444)  # as DVC leaves it, which is why DVC trusts it
    return md5, cached


def damage(cached: Path) -> None:
    """Change a byte and nothing else, as a bad disk does."""
    times = cached.stat().st_atime_ns, cached.stat().st_mtime_ns
    cached.chmod(0o644)
    cached.write_bytes(bytes([cached.read_bytes()[0] ^ 1]) + cached.read_bytes()[1:])
    cached.chmod(0o444)
    os.utime(cached, ns=times)


@pytest.mark.parametrize("locked", [True, False], ids=["named by dvc.lock", "named by the run-cache"])
def test_a_damaged_file_is_removed_from_the_cache_before_it_is_restored(tmp_path: Path, locked: bool) -> None:
    (one, first), (two, second) = put_in_cache(tmp_path, b"first"), put_in_cache(tmp_path, b"second")
    entries = [{"md5": one, "relpath": "a/one"}, {"md5": two, "relpath": "two"}]
    folder, listed = put_in_cache(tmp_path, json.dumps(entries).encode(), ".dir")
    stage = f"cmd: make it\nouts:\n- path: out\n  hash: md5\n  md5: {folder}\n"
    if locked:
        indented = "".join(f"    {line}\n" for line in stage.splitlines())
        (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  s:\n{indented}", encoding="utf-8")
    else:
        (tmp_path / ".dvc/cache/runs/ab/abc").mkdir(parents=True)
        (tmp_path / ".dvc/cache/runs/ab/abc/def").write_text(stage, encoding="utf-8")
        (tmp_path / ".dvc/cache/runs/ab/abc/cut").write_text("outs: [", encoding="utf-8")
    assert recover(tmp_path) == ""
    damage(second)
    said = recover(tmp_path)
    assert said.count("\n") == 1
    assert said.startswith("out/two was damaged in DVC's cache (.dvc/cache/files/md5/")
    assert (first.exists(), second.exists(), listed.exists()) == (True, False, True)
    damage(listed)
    assert "out was damaged" in recover(tmp_path)
    assert (first.exists(), listed.exists()) == (True, False)


def test_what_is_in_place_is_not_read_again(tmp_path: Path) -> None:
    md5, cached = put_in_cache(tmp_path, b"model")
    (tmp_path / "out").write_bytes(b"model")
    stages = f"stages:\n  s:\n    cmd: c\n    outs:\n    - path: out\n      hash: md5\n      md5: {md5}\n"
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\n{stages}", encoding="utf-8")
    damage(cached)
    assert recover(tmp_path) == "", "DVC restores nothing"
    (tmp_path / "out").write_bytes(b"model, edited")
    assert "out was damaged" in recover(tmp_path)


@pytest.mark.slow
def test_a_damaged_output_is_made_again_and_not_restored(shapes: Path, tmp_path: Path) -> None:
    project: Project = new_repository(tmp_path)
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    train = "train@shapes-unet-bce"
    project.repro("extract", train)
    lock = (tmp_path / "dvc.lock").read_text(encoding="utf-8")
    model = tmp_path / "results/train/shapes/unet/bce/seed0.safetensors"
    whole = model.read_bytes()
    md5 = hashlib.md5(whole).hexdigest()
    damage(tmp_path / ".dvc/cache/files/md5" / md5[:2] / md5[2:])
    shutil.rmtree(tmp_path / "results/train")
    assert "results/train/shapes/unet/bce/seed0.safetensors was damaged" in project.stage("recover").stdout
    assert project.repro("--single-item", train) == [train]
    assert model.read_bytes() == whole
    assert (tmp_path / "dvc.lock").read_text(encoding="utf-8") == lock
