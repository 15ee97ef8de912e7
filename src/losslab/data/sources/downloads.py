"""The folder that keeps what was fetched, so that nothing is fetched twice."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from losslab.data.sources.http import Fetcher
from losslab.errors import InputError
from losslab.results.files import verify


class Downloads:
    """The folder that keeps what was fetched; one process at a time uses it, a second one waits."""

    def __init__(self, folder: Path, fetcher: Fetcher) -> None:
        self.folder, self.fetcher = folder, fetcher

    @classmethod
    @contextmanager
    def open(cls) -> Iterator["Downloads"]:
        # DVC runs queued experiments in folders that vanish; DVC_ROOT is the one that stays.
        folder = Path(os.environ.get("DVC_ROOT", ""), "downloads")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("wb") as lock, Fetcher() as fetcher:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield cls(folder, fetcher)

    def path(self, url: str) -> Path:
        """Where the file of `url` is kept."""
        key = hashlib.sha256(url.encode()).hexdigest()
        name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(urlsplit(url).path).name)[-80:]
        return self.folder / key[:2] / f"{key[:16]}-{name}"

    def file(self, location: str, sha256: str | None = None, md5: str | None = None) -> Path:
        """A local path, or that of a URL, fetched now unless it is kept already; a folder has no checksum.

        Raises:
            InputError: it cannot be fetched, or has another checksum; then what was fetched is not kept.
        """
        path = Path(location)
        if "://" in location:
            path = self.path(location)
            self.fetcher.fetch(location, path, sha256, progress=True)
        elif path.is_file():
            verify(path, sha256, location)
        if path.is_file():
            try:
                verify(path, md5, location, "md5")
            except InputError:
                if "://" in location:
                    path.unlink()
                raise
        return path
