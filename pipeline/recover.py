"""Mend what a kill or a bad disk left of DVC's own files: `python -m pipeline.recover`, before `dvc repro`.

DVC rewrites `dvc.lock` and `.dvc/tmp/rwlock` in place, so either can be cut short, and then every `dvc repro` refuses
to start. It also takes a process that has the number of a killed one for that one. No result is lost by mending them:
DVC's run-cache has every finished stage. DVC also restores what its cache has without a look at it, so what it is about
to restore is verified here; what is damaged is removed, and the stage that made it runs again.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.config import Config
from dvc.schema import COMPILED_LOCKFILE_SCHEMA

from losslab.errors import InputError, exit_on_error

LOCK, RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")


def main() -> None:
    if LOCK.exists() and not _is_lock(LOCK.read_bytes()):
        LOCK.replace("dvc.lock.damaged")
        print("dvc.lock was cut short; it is dvc.lock.damaged now, and what was done comes back from DVC's cache")
    if RWLOCK.exists():
        with RWLOCK.with_name("rwlock.lock").open("ab") as guard:  # DVC's own guard
            fcntl.flock(guard, fcntl.LOCK_EX)
            _release(RWLOCK)
    _verify_cache(Path(Config(".dvc", validate=False)["cache"].get("dir", ".dvc/cache")))


def check_repository() -> None:
    """See that DVC can work here, which an archive of the project without its history lacks.

    Raises:
        InputError: it cannot.
    """
    here = Path.cwd()
    config = Config(".dvc", validate=False)["core"]
    if not config.get("no_scm") and not any((folder / ".git").exists() for folder in (here, *here.parents)):
        raise InputError(f"{here} is in no git repository, and DVC needs one: `git init`, then again")
    if not Path(".dvc").is_dir():
        raise InputError(f"{here} has no folder .dvc: `dvc init`, then again")


def _verify_cache(cache: Path) -> None:
    """Remove from DVC's cache the damaged files of outputs that it would restore now, and say so.

    Those are outputs that are not in place, or of another size, or were edited after dvc.lock was written; without
    dvc.lock, all that the run-cache has.
    """
    since = LOCK.stat().st_mtime if LOCK.exists() else float("-inf")
    locks = [LOCK] if LOCK.exists() else [path for path in (cache / "runs").rglob("*") if path.is_file()]
    for path, cached in sorted(set(_outputs(locks, cache))):
        if not cached.is_file() or _is_in_place(path, cached, since):
            continue
        if not _is_whole(cached):
            cached.unlink()
            print(f"{path} was damaged in DVC's cache ({cached}); removed there, and what made it runs again")


def _outputs(locks: list[Path], cache: Path) -> Iterator[tuple[Path, Path]]:
    """Every file of the outputs that lock files name, and where the cache has it; a folder's list of files too."""
    for lock in locks:
        content = _load(lock)
        # A lock file has many stages, an entry of the run-cache is one.
        for stage in content.get("stages", {"": content}).values():
            for out in stage.get("outs", ()):
                path, cached = Path(out["path"]), _cached(cache, out.get("md5", ""))
                yield path, cached
                if cached.suffix == ".dir" and cached.is_file() and _is_whole(cached):
                    for entry in json.loads(cached.read_bytes()):
                        yield path / entry["relpath"], _cached(cache, entry["md5"])


def _load(lock: Path) -> dict[str, Any]:
    """A lock file, or what the run-cache has of a stage; nothing if that was cut short, which DVC sees."""
    try:
        content = yaml.safe_load(lock.read_bytes())
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _cached(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _is_whole(cached: Path) -> bool:
    with cached.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == cached.parent.name + cached.name.removesuffix(".dir")


def _is_in_place(path: Path, cached: Path, since: float) -> bool:
    """Whether DVC would leave `path` as it is."""
    if cached.suffix == ".dir":
        return False  # a list of files is small
    if not path.is_file():
        return False
    return path.stat().st_size == cached.stat().st_size and path.stat().st_mtime <= since


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
        path.write_text(json.dumps(kept), encoding="utf-8")


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
