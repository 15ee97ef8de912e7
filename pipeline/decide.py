"""Add seeds until it is decided which loss is best: `python -m pipeline.decide`, or `losslab decide`, or `make decide`.

A race. Each round runs the pipeline up to `compare`, reads its verdicts, and gives one more seed to each loss that is
still in the race, in `grid.seeds` of params.yaml. A loss that is worse than another gets no more; one that may be
passed over at next to no expected cost waits as long as that is so, or until the others have all they may have. All
that is known lies in params.yaml and in DVC's outputs: killed at any moment, it goes on where it was, and a clone of
what it ends with reproduces that by `dvc repro`.
"""

import argparse
import itertools
import math
import os
import re
import time
from collections.abc import Mapping, Sequence

from losslab.__main__ import add_decide_options
from losslab.comparison.verdict import next_to_train
from losslab.errors import InputError, exit_on_error
from losslab.results import paths
from losslab.results.files import atomic_file
from losslab.results.standings import Verdict, read_verdicts
from losslab.settings import params, yaml_edit
from losslab.settings.params import PARAMS, Params
from losslab.settings.plans import Cell, ReportPlan, seeds_of
from pipeline import dvc, end_with_parent, recover, run

TIME = r"([0-9]+(?:\.[0-9]+)?)([hms])"
UNITS = {"h": 3600, "m": 60, "s": 1}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.decide", description=str(__doc__).split(":")[0] + ".")
    add_decide_options(parser)
    options = parser.parse_args()
    budget = math.inf if options.budget is None else seconds(options.budget)
    if options.jobs < 1:
        raise InputError(f"--jobs: {options.jobs} is not ≥ 1")
    most = most_seeds(options.most_seeds, params.load().compare.most_seeds)
    if "MAKELEVEL" in os.environ:
        end_with_parent()  # of make: a make that was killed ends nothing
    recover.check_repository()
    with dvc.alone():
        recover.main()
        race(options, budget, most)
        dvc.show("repro")


def race(options: argparse.Namespace, budget: float, most: int) -> None:
    """Run rounds until nothing is open, no loss may have more seeds, or another round would go beyond the budget."""
    begun = time.monotonic()
    for number in itertools.count(1):
        started = time.monotonic()
        run.train_and_evaluate(options.jobs, quiet=number > 1)
        dvc.show("repro", "compare", quiet=number > 1)
        settings, verdicts, now = ReportPlan.read().params, read_verdicts(paths.VERDICTS), time.monotonic()
        said = " | ".join(in_words(verdict, settings) for verdict in verdicts)
        print(f"round {number}, {now - started:.0f} s: {said}", flush=True)
        wanted = more_seeds(verdicts, settings, most)
        if not wanted:
            break
        # The first round had all of a cell's seeds to train.
        expected = (now - started) / (len(settings.train.seeds) if number == 1 else 1)
        if now - begun + expected > budget:
            print(f"another round would go beyond --budget {options.budget}: run it again to go on")
            break
        write(dict(settings.grid.seeds) | {cell.path.as_posix(): seeds for cell, seeds in wanted.items()})


def most_seeds(wanted: int | None, looks: int) -> int:
    """How many seeds a loss may have: what is wanted, or as many as the test allows looks for.

    Raises:
        InputError: more than that are wanted, or none.
    """
    if wanted is not None and wanted < 1:
        raise InputError(f"--most-seeds: {wanted} is not ≥ 1")
    if wanted is not None and wanted > looks:
        raise InputError(f"--most-seeds: {wanted} is more than compare.most_seeds, {looks}, which the test allows for")
    return wanted or looks


def more_seeds(verdicts: Sequence[Verdict], settings: Params, most: int) -> dict[Cell, int]:
    """The cells that are to have more seeds, and how many."""
    wanted: dict[Cell, int] = {}
    for verdict in verdicts:
        seeds = _seeds(verdict, settings)
        for loss in next_to_train(verdict, seeds, most):
            wanted[Cell(verdict.dataset, verdict.network, loss)] = seeds[loss] + 1
    return wanted


def in_words(verdict: Verdict, settings: Params) -> str:
    """A verdict, in a few words with the seeds that it rests on."""
    named = {loss: f"{loss} ({seeds})" for loss, seeds in _seeds(verdict, settings).items()}
    racing = ", ".join(words for loss, words in named.items() if loss not in verdict.waiting)
    waiting = f"; waiting: {', '.join(named[loss] for loss in verdict.waiting)}" if verdict.waiting else ""
    said = "undecided" if verdict.verdict == "undecided" else f"{verdict.leader} is {verdict.verdict}"
    worse = f"; worse: {', '.join(verdict.worse)}" if verdict.worse else ""
    where = f"{verdict.dataset} {verdict.network}"
    return f"{where}: {said}; in the race, with so many seeds: {racing or 'none'}{waiting}{worse}"


def _seeds(verdict: Verdict, settings: Params) -> dict[str, int]:
    """How many seeds each contender has; the leader first."""
    cells = {loss: Cell(verdict.dataset, verdict.network, loss) for loss in verdict.contenders}
    return {loss: len(seeds_of(cell, settings.train.seeds, settings.grid)) for loss, cell in cells.items()}


def write(seeds: Mapping[str, int]) -> None:
    """Make `seeds` the `grid.seeds` of params.yaml, and leave all else of it as it is.

    Raises:
        InputError: that cannot be done.
    """
    with PARAMS.open(encoding="utf-8", newline="") as file:
        before = file.read()
    try:
        after = yaml_edit.put(before, "grid", "seeds", seeds)
    except ValueError as error:
        raise InputError(f"{PARAMS}: {error}") from None
    with atomic_file(PARAMS) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(after)


def seconds(text: str) -> float:
    """A time such as 2h, 90m or 1h30m.

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(f"({TIME})+", text):
        raise InputError(f"--budget: {text!r} is no time such as 2h, 90m or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(TIME, text))


if __name__ == "__main__":
    exit_on_error(main)
