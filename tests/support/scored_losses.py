"""Three losses whose scores were drawn, not trained, as the stages leave them; and what `compare` makes of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from projects import ROOT
from simulated_runs import Simulation

from losslab.comparison import analysis, headline, leaderboard, loss_results, verdict
from losslab.results import boundary_scores, history, paths, scores, standings
from losslab.results.files import write_json
from losslab.results.scores import Counts
from losslab.settings.params import Params
from losslab.settings.plans import Cell, ComparePlan

LOSSES = ("bce", "dice", "mse_dice")
SEEDS = (0, 1, 2)
CLASSES = ("disk", "star")


def planned(losses: tuple[str, ...] = LOSSES, seeds: tuple[int, ...] = SEEDS) -> ComparePlan:
    """The plan of `compare` for these losses with the default data set and network."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["grid"]["losses"] = list(losses)
    raw["compare"] |= {"baseline": losses[0], "resamples": 200}
    params = Params.model_validate(raw)
    return ComparePlan(code="", grid=params.grid, losses=params.losses, seeds=seeds, compare=params.compare)


def cell(loss: str) -> Cell:
    """Where a loss stands in the grid."""
    return Cell("shapes", "unet", loss)


def write(loss: str, tables: dict[int, Counts], images: list[str] | None = None) -> None:
    """Score, boundary and history files as `evaluate` and `train` leave them; a loss's seeds that are missing diverged.

    `tables` holds the counts `[N, C, 4]` of each seed; the fixed threshold misses half of what the tuned one finds.
    """
    images = images or [f"i{n}" for n in range(len(next(iter(tables.values()), ())))]
    counts, edges = {}, {}
    for seed, tuned in tables.items():
        half = tuned[..., 0] // 2
        fixed = tuned + np.stack([-half, 0 * half, half, 0 * half], axis=-1)
        counts[seed] = {"fixed": fixed, "tuned": tuned}
        tp, fp, fn, _ = np.moveaxis(tuned, -1, 0)
        distance = np.where(tp + fp + fn > 0, 1.5, np.nan)
        edge = np.stack([tp + fp, tp, tp + fn, tp, distance], axis=-1).astype(np.float64)
        edges[seed] = dict.fromkeys(scores.THRESHOLDS, edge)
    scores.write(paths.scores_file(cell(loss)), images, CLASSES, counts)
    boundary_scores.write(paths.boundaries_file(cell(loss)), images, CLASSES, edges)
    rows = [history.Row(seed, 1, 7, "train", "diverged", 1.0) for seed in SEEDS if seed not in tables]
    history.write(paths.history_file(cell(loss)), rows)


def simulated(loss: str, seeds: tuple[int, ...] = SEEDS, images: int = 30) -> dict[int, Counts]:
    """Counts `[N, 2, 4]` per seed: `dice` is 10 points better than `bce`, `mse_dice` 5."""
    case = Simulation(seeds=len(SEEDS), images=images, effects=(0.0, 0.10, 0.05), skill=0.6, own_seed=0.002)
    per_class = [case.counts(np.random.default_rng(k))[LOSSES.index(loss)] for k in range(2)]
    return {seed: np.concatenate(per_class, axis=-2)[SEEDS.index(seed)] for seed in seeds}


def compare(plan: ComparePlan | None = None) -> tuple[dict[str, standings.Standing], dict[str, Any]]:
    """What the stage does: rows of the tuned mIoU by loss, and the analysis as it is read back."""
    plan = plan or planned()
    compared = loss_results.load(plan, "shapes", "unet")
    decided = verdict.decide(compared, plan.compare)
    rows = leaderboard.compute(compared, decided, plan.compare)
    headline.write(decided, rows, compared.unconverged, plan.compare)
    Path("board").mkdir(exist_ok=True)
    write_json(Path("board/verdicts.json"), [asdict(decided)])
    write_json(Path("analysis.json"), analysis.analyse(compared, plan.compare.confidence))
    leaderboard.write(rows, plan, Path("board"), Path("board/metrics.json"))
    assert standings.read(Path("board/leaderboard.json"))[0].dataset == "shapes"
    text = Path("analysis.json").read_text(encoding="utf-8") + Path("board/leaderboard.json").read_text(
        encoding="utf-8"
    )
    assert "NaN" not in text
    assert "Infinity" not in text
    return {row.loss: row for row in rows if row.decisive}, json.loads(
        Path("analysis.json").read_text(encoding="utf-8")
    )


def decided() -> standings.Verdict:
    """The verdict of the last comparison, as it is read back."""
    return standings.read_verdicts(Path("board/verdicts.json"))[0]


def rows_of(table: list[dict[str, Any]], loss: str) -> list[dict[str, Any]]:
    """The rows of one loss in a table of the analysis."""
    return [row for row in table if row["loss"] == loss]
