"""Run what is out of date, several cells side by side: `python -m pipeline.run --jobs 2`, which is what `make` does.

DVC decides what is out of date and runs every stage; this starts one DVC for each cell that is, says how far they are,
and ends them all when it is ended, whatever ends it. A cell that fails is named at the end, and the others are done.
"""

import argparse
import os
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tqdm import tqdm

from losslab.errors import InputError, exit_on_error
from losslab.settings.overrides import train_of
from losslab.settings.plans import Cell, ReportPlan, cells, seeds_of
from pipeline import PROGRESS, dvc, end_with_parent, recover

PAUSE = 0.25
"""Seconds between two looks at what runs."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.run", description="Run what is out of date.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cells that are trained side by side")
    jobs = parser.parse_args().jobs
    if jobs < 1:
        raise InputError(f"--jobs: {jobs} is not ≥ 1")
    if "MAKELEVEL" in os.environ:
        end_with_parent()  # of make: a make that was killed ends nothing
    recover.check_repository()
    with dvc.alone():
        recover.main()
        train_and_evaluate(jobs)
        dvc.show("repro")


def train_and_evaluate(jobs: int, quiet: bool = False) -> None:
    """Bring every cell up to date, `jobs` at a time, and what comes before them.

    Raises:
        InputError: some failed; the others are done.
    """
    dvc.show("repro", "extract", "weights", quiet=quiet)
    settings = ReportPlan.read().params
    out_of_date = dvc.out_of_date()
    waiting = {
        cell: (len(seeds_of(cell, settings.train.seeds, settings.grid)) + settings.tune.trainings)
        * train_of(settings, cell.loss).epochs
        for cell in cells(settings.grid)
        if not out_of_date.isdisjoint(dvc.of_cell(cell))
    }
    if failures := run(waiting, jobs, quiet):
        lines = [f"{cell}: {reason}" for cell, reason in failures.items()]
        raise InputError("\n".join([*lines, "the other cells are done; mend it and run it again"]))


@dataclass
class Job:
    """One DVC at work on a cell."""

    cell: Cell
    process: subprocess.Popen[str]
    log: IO[str]
    started: float

    @property
    def reason(self) -> str:
        """Why it failed."""
        self.log.seek(0)
        return dvc.reason(self.log.read()) or "no word"


def run(waiting: Mapping[Cell, int], jobs: int, quiet: bool = False) -> dict[Cell, str]:
    """Bring cells up to date, `jobs` at a time; why each that failed did.

    Args:
        waiting: the cells that are out of date, and how many epochs all seeds of each have.
        jobs: how many run side by side.
        quiet: say nothing of those that are done.
    """
    queue, running, failures = deque(waiting), list[Job](), dict[Cell, str]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="losslab-")))
        stack.callback(lambda: dvc.end([job.process for job in running]))
        bar = stack.enter_context(tqdm(total=sum(waiting.values()), desc="train", unit=" epochs", disable=None))
        finished = 0
        while queue or running:
            while queue and len(running) < jobs:
                running.append(_start(queue.popleft(), folder))
            time.sleep(PAUSE)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                finished += waiting[job.cell]
                if job.process.returncode:
                    failures[job.cell] = job.reason
                word = "failed" if job.process.returncode else "done"
                if job.process.returncode or not quiet:
                    bar.write(f"{job.cell}: {word} after {time.monotonic() - job.started:.0f} s")
                job.log.close()
            said = {job.cell: _epochs(folder, job.cell) for job in running}
            bar.n = finished + sum(said.values())
            bar.set_postfix_str(
                ", ".join(f"{cell} {done}/{waiting[cell]}" for cell, done in said.items()), refresh=True
            )
    return failures


def _start(cell: Cell, folder: Path) -> Job:
    log = (folder / f"{'-'.join(cell.names)}.log").open("w+", encoding="utf-8", errors="replace")
    process = subprocess.Popen(
        [*dvc.COMMAND, "repro", "--single-item", *dvc.of_cell(cell)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {PROGRESS: str(folder)},
        start_new_session=True,  # a Ctrl-C in the terminal reaches this process alone, which ends the others in order
    )  # fmt: skip
    return Job(cell, process, log, time.monotonic())


def _epochs(folder: Path, cell: Cell) -> int:
    """How many epochs of a cell are done, as its tuning and its training say."""
    done = 0
    for name in ("-".join(cell.names), f"tune-{'-'.join(cell.names)}"):
        with suppress(FileNotFoundError, ValueError):  # none yet, or it is being written
            done += int((folder / name).read_text(encoding="utf-8"))
    return done


if __name__ == "__main__":
    exit_on_error(main)
