"""DVC as the drivers of the grid use it, and `python -m pipeline.dvc ARGUMENTS`: DVC, ended with its parent process."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

from losslab.errors import InputError
from pipeline import end_with_parent

if TYPE_CHECKING:
    from losslab.settings.plans import Cell

COMMAND = (sys.executable, "-m", "pipeline.dvc", "--wait-for-lock")
STAGES = ("tune", "train", "evaluate")
"""What is run for each cell of the grid."""
GRACE = 30.0
"""Seconds that a stage has to end after it was asked to."""
ADVICE = (
    "> ",
    "Updating",
    "Generating",
    "To track the",
    "\tgit add",
    "To enable",
    "\tdvc config",
    "Use `dvc",
    "Stage '",
)
"""How lines of DVC begin that say nothing of what is being done."""


def of_cell(cell: "Cell") -> list[str]:
    """DVC's names of a cell's stages."""
    return [f"{stage}@{'-'.join(cell.names)}" for stage in STAGES]


def out_of_date() -> set[str]:
    """DVC's names of the stages of cells that are to run."""
    with _running("status", "--json", *STAGES) as output:
        status = output.read()
    return set(json.loads(status))


@contextmanager
def alone() -> Iterator[None]:
    """Be the only driver at work in this repository: two would wait for each other's stages, and fail.

    Raises:
        InputError: there is another one.
    """
    path = Path(".dvc/tmp/driver.lock")  # the lock, not the file, says so: it ends with its process
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another `make` or `losslab decide` is at work in this folder; wait for it or end it"
            ) from None
        yield


def show(*arguments: str, quiet: bool = False) -> None:
    """Run DVC in the foreground, without its advice after every stage; if `quiet`, what it says is its errors alone."""
    with _running(*arguments) as output:
        for line in output:
            if not quiet and not line.startswith(ADVICE) and line.strip():
                print(line, end="", flush=True)


def reason(said: str) -> str:
    """Why a stage failed, of what it printed: the line that says so, or the last one; nothing if it said nothing."""
    lines = [line for line in said.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("error: ")), "".join(lines[-1:])).removeprefix("error: ")


def end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End processes and all that they started, and wait until they are gone."""
    family = [psutil.Process(process.pid) for process in processes if process.poll() is None]
    for parent in list(family):
        with suppress(psutil.NoSuchProcess):
            family += parent.children(recursive=True)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(family, GRACE)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, GRACE)


@contextmanager
def _running(*arguments: str) -> Iterator[IO[str]]:
    """What DVC prints while it runs; its errors are seen. It ends with the block.

    Raises:
        InputError: it failed.
    """
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout
        process.wait()
    finally:
        end([process])
    if process.returncode:
        raise InputError(f"`dvc {' '.join(arguments)}` failed, see above")


if __name__ == "__main__":
    from dvc.cli import main

    end_with_parent()
    sys.exit(main(sys.argv[1:]))
