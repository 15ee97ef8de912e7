"""What the benchmarks share: turns of two ways to do a thing, and the figure with its baseline and its goal."""

import operator
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PROCESSORS = os.cpu_count() or 1


@dataclass(frozen=True)
class Goal:
    """A bound of the figure itself (`ours`) or of its ratio to the baseline."""

    of: Literal["ours", "ratio"]
    sign: Literal["≥", "≤"]
    bound: float


@dataclass(frozen=True)
class Figure:
    """What was measured, beside its baseline from the same run. `ratio` is ours ÷ theirs, the median over rounds."""

    what: str
    unit: str
    ours: float
    baseline: str
    theirs: float
    ratio: float
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        compare = operator.ge if self.goal.sign == "≥" else operator.le
        return bool(compare(getattr(self, self.goal.of), self.goal.bound))


class Skipped(Exception):
    """A piece cannot be measured here; the message says why, and what would help."""


def figure(
    what: str, unit: str, ours: Sequence[float], baseline: str, theirs: Sequence[float], goal: Goal | None = None
) -> Figure:
    """Medians of what the rounds gave."""
    ratio = np.median(np.array(ours) / np.array(theirs))
    return Figure(what, unit, float(np.median(ours)), baseline, float(np.median(theirs)), float(ratio), goal)


def in_turns(rounds: int, *ways: Callable[[], float], warm: bool = True) -> list[list[float]]:
    """What each way gave in each round. The order turns about, and a first round, where `warm`, does not count."""
    if warm:
        for way in ways:
            way()
    found: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds):
        for index in range(len(ways))[:: -1 if turn % 2 else 1]:
            found[index].append(ways[index]())
    return found


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What the figures depend on, beside the code."""
    # Here, because the processes that extraction starts import this file too.
    import torch

    from losslab.inference import devices

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "processors": PROCESSORS,
        "bf16": devices.cpu_precision() == "bfloat16",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
