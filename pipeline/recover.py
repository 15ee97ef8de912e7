"""Mend what a kill or a power cut left of DVC's own files: `python -m pipeline.recover`, before `dvc repro`.

DVC rewrites `dvc.lock` and `.dvc/tmp/rwlock` in place, so either can be cut short, and then every `dvc repro` refuses
to start. It also takes a process that has the number of a killed one for that one. No result is lost by mending them:
DVC's run-cache has every finished stage.
"""

import fcntl
import json
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA

from losslab.errors import exit_on_error

LOCK, RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")


def main() -> None:
    if LOCK.exists() and not _is_lock(LOCK.read_bytes()):
        LOCK.replace("dvc.lock.damaged")
        print("dvc.lock was cut short; it is dvc.lock.damaged now, and what was done comes back from DVC's cache")
    if RWLOCK.exists():
        with RWLOCK.with_name("rwlock.lock").open("ab") as guard:  # DVC's own guard
            fcntl.flock(guard, fcntl.LOCK_EX)
            _release(RWLOCK)


def _is_lock(content: bytes) -> bool:
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(content) or {})
    except Exception:  # the parser and the schema raise what they like
        return False
    return True


def _release(path: Path) -> None:
    """Drop the entries of processes that are no more."""
    try:
        held = json.loads(path.read_bytes())
        kept = {
            "write": {name: info for name, info in held.get("write", {}).items() if _lives(info)},
            "read": {name: [i for i in infos if _lives(i)] for name, infos in held.get("read", {}).items()},
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        path.unlink()
        print(f"{path} was cut short; removed")
        return
    if kept != held:
        path.write_text(json.dumps(kept))


def _lives(info: dict[str, Any]) -> bool:
    """Whether the process is there, and is the DVC that took the lock rather than another of its number."""
    try:
        return " ".join(psutil.Process(info["pid"]).cmdline()).endswith(info["cmd"])
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


if __name__ == "__main__":
    exit_on_error(main)
