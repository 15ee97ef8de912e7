"""The leaderboard on disk: what `compare` writes, and the report, MLflow and whoever else asks read."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from losslab.errors import InputError

RANKED_BY = "miou"
"""The metric that losses are ranked by, one where higher is better: answer, verdict to quote and champion go by it."""


@dataclass
class Standing:
    """A mean over seeds with its interval, and its difference to the baseline; None where there is nothing to say.

    `verdict` is better, worse, no difference shown or n too small; baseline, or no baseline where there is none to
    compare with; diverged, or no value where nothing could be measured. It rests on the adjusted p of this row's table:
    losses are corrected for, metrics are not, so the verdict to quote is that of the one metric that ranks.
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
    p: float | None = None
    p_adjusted: float | None = None
    verdict: str = "diverged"
    status: str = "ok"
    convergence: str = "ok"
    """What shows that the runs should have been trained for longer, or ok."""

    @property
    def decisive(self) -> bool:
        """Whether losses are ranked by this row: by the metric that ranks, at the tuned threshold."""
        return (self.metric, self.threshold) == (RANKED_BY, "tuned")


def read(path: Path) -> list[Standing]:
    """Read leaderboard.json.

    Raises:
        InputError: the file is missing or is not a leaderboard.
    """
    try:
        return TypeAdapter(list[Standing]).validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InputError(
            f"{path}: missing or damaged ({' '.join(str(error).split())[:200]}); run `dvc repro`"
        ) from None
