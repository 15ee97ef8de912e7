"""The verdict and the leaderboard on disk: what `compare` writes, and the report, MLflow and whoever else asks read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from losslab.errors import InputError

T = TypeVar("T")

RANKED_BY = "miou"
"""The metric that losses are ranked by, one where higher is better: the verdict and the champion go by it."""


RULES = {"tuned": "tuned threshold", "fixed": "threshold 0.5", "argmax": "most probable class"}
"""Threshold rules in words."""


def ranking_rule(rules: Sequence[str]) -> str:
    """The threshold rule that losses are ranked by: argmax where classes exclude each other, else the tuned one."""
    return "argmax" if "argmax" in rules else "tuned"


@dataclass
class Standing:
    """A mean over seeds with its interval, and its difference to the baseline; None where there is nothing to say.

    `verdict` is a word on the row that ranks the loss: best, good enough or the only one for the leader, undecided for
    the others that are still in the race, worse than another, unreliable where a run diverged, diverged where all did,
    not compared, no value where nothing could be measured; and on rows of other metrics and thresholds, not judged.
    """

    dataset: str
    network: str
    loss: str
    metric: str
    threshold: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    images: int = 0
    delta: float | None = None
    delta_low: float | None = None
    delta_high: float | None = None
    verdict: str = "not judged"
    status: str = "ok"
    convergence: str = "ok"
    """What shows that the runs should have been trained for longer, or ok."""
    by_seed: dict[int, float] = field(default_factory=dict)
    """The value of each seed that has one."""

    @property
    def decisive(self) -> bool:
        """Whether losses are ranked by this row; data sets have the one rule or the other."""
        return self.metric == RANKED_BY and self.threshold in ("tuned", "argmax")


@dataclass
class Pair:
    """The leader against another loss."""

    points: float | None
    """How far it is ahead, mean over their common seeds."""
    won: int
    lost: int
    """Seeds."""
    walk: bool
    """Whether seeds won and lost alone say which is better, whatever their distribution."""


@dataclass
class Verdict:
    """What is decided on the losses of one data set and network; points are hundredths of mIoU."""

    dataset: str
    network: str
    verdict: Literal["best", "good enough", "undecided"] = "undecided"
    leader: str | None = None
    """None where no loss came without a run that diverged."""
    contenders: list[str] = field(default_factory=list)
    """Losses that may be best, the leader first."""
    waiting: list[str] = field(default_factory=list)
    """Contenders that need no more seeds as it looks now: passing each over costs its share of the margin at most."""
    worse: dict[str, list[str]] = field(default_factory=dict)
    """Loss → losses that it is worse than, for good."""
    unreliable: dict[str, str] = field(default_factory=dict)
    """Loss → what some of its runs failed at."""
    regret: float | None = None
    """Points that picking the leader is expected to cost against the best."""
    forecast_seeds: int | None = None
    """Seeds in all with which it would be decided."""
    chances: dict[str, float] = field(default_factory=dict)
    """Loss → chance to be the best."""
    against: dict[str, Pair] = field(default_factory=dict)
    """Loss → how the leader did against it."""
    headline: str = ""
    detail: str = ""

    def order(self, rows: Sequence[Standing]) -> list[Standing]:
        """Rows, the leader's first, then those of the losses still in the race, of those that are worse, of those with
        a run that diverged, of those without a model; each by their means."""
        mean = {row.loss: row.mean for row in rows if row.decisive}

        def place(row: Standing) -> tuple[bool, bool, bool, bool, float]:
            value, rest = mean.get(row.loss), row.loss not in self.contenders
            ranked = not rest or row.loss in self.against
            return value is None, row.loss != self.leader, not ranked, rest, -(value or 0.0)

        return sorted(rows, key=place)


def read(path: Path) -> list[Standing]:
    """Read leaderboard.json.

    Raises:
        InputError: the file is missing or is not a leaderboard.
    """
    return _read(path, TypeAdapter(list[Standing]))


def read_verdicts(path: Path) -> list[Verdict]:
    """Read verdicts.json.

    Raises:
        InputError: the file is missing or holds no verdicts.
    """
    return _read(path, TypeAdapter(list[Verdict]))


def _read(path: Path, kind: TypeAdapter[T]) -> T:
    try:
        return kind.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InputError(
            f"{path}: missing or damaged ({' '.join(str(error).split())[:200]}); run `dvc repro`"
        ) from None
