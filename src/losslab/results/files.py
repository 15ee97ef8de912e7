"""Files: checksums, and outputs that are either whole or not there, written under a temporary name and then renamed.

A process that is killed leaves its temporary folder `.tmp-*`; the next one that writes beside it removes it.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from losslab.errors import InputError

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` keeps its old content.
    """
    with _temporary_folder_beside(path) as folder:
        temporary = folder / path.name
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut may leave the new name with no content
        temporary.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of the folder `path` if the block succeeds."""
    with _temporary_folder_beside(path) as folder:
        temporary, replaced = folder / path.name, folder / "replaced"
        temporary.mkdir()
        yield temporary
        while True:
            with suppress(FileNotFoundError):
                path.replace(replaced)
            try:
                temporary.replace(path)
                return
            except OSError as error:  # another process has just put its own there
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                shutil.rmtree(replaced, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys: the same value gives the same bytes."""
    with atomic_file(path) as temporary:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def digest(path: Path, algorithm: str = "md5") -> str:
    """The file's hex digest; a process reads a file that did not change only once."""
    status = path.stat()
    return _digest(path.resolve(), algorithm, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache
def _digest(path: Path, algorithm: str, _status: tuple[int, int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(path: Path, expected: str | None, source: str, algorithm: str = "sha256") -> None:
    """Compare a file with its expected checksum (none: nothing is known, nothing is compared).

    Raises:
        InputError: they differ.
    """
    if expected is not None and (actual := digest(path, algorithm)) != expected:
        raise InputError(
            f"{source}: {algorithm} is {actual}, not {expected}: damaged on the way, or another file; try again"
        )


@contextmanager
def _temporary_folder_beside(path: Path) -> Iterator[Path]:
    """A folder that only this process uses, removed in the end; what it cannot write is said of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_what_the_dead_left(path.parent)
    folder, lock = _locked_folder(path.parent)
    try:
        yield folder
    except OSError as error:
        if error.errno in DISK_FULL and error.filename is None:  # says what, not where
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _locked_folder(parent: Path) -> tuple[Path, IO[bytes]]:
    """A new folder, and the open file whose lock says that its process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=parent))  # .dvcignore names .tmp-*
        try:
            lock = (folder / ".lock").open("wb")
        except FileNotFoundError:
            continue  # another process took it for a dead one's before it was locked
        with suppress(OSError):  # a file system without locks: then nobody removes it but its maker
            fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / ".lock").exists():
            return folder, lock
        lock.close()


def _remove_what_the_dead_left(parent: Path) -> None:
    for folder in parent.glob(".tmp-*"):
        with suppress(OSError), (folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
