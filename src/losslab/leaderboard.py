"""From scores and histories to the leaderboard: one row per data set, loss, metric and threshold rule."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from losslab import history, runs, scores, statistics
from losslab.errors import InputError
from losslab.files import atomic_file, write_json
from losslab.params import Compare, Params


@dataclass
class Row:
    """A mean over seeds with its interval, and its difference to the baseline; None where there is nothing to say."""

    dataset: str
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


def compute(params: Params) -> list[Row]:
    """The leaderboard of every data set in the grid, losses in the order of the grid."""
    rows = []
    for dataset in params.grid.datasets:
        found = {loss: scores.read(runs.scores_file(dataset, loss)) for loss in params.grid.losses}
        status = {loss: _status(params, dataset, loss) for loss in params.grid.losses}
        for metric in statistics.METRICS:
            for threshold in scores.THRESHOLDS:
                table = [
                    _row(dataset, loss, metric, threshold, found[loss], found[params.compare.baseline], params)
                    for loss in params.grid.losses
                ]
                for row in table:
                    row.status = status[row.loss]
                _judge(table, params.compare)
                rows += table
    return rows


def write(rows: Sequence[Row], params: Params, folder: Path) -> None:
    """`leaderboard.json`, `leaderboard.csv`, `metrics.json` for `dvc metrics` and `curves.csv` for `dvc plots`."""
    table = [{key: _rounded(value) for key, value in asdict(row).items()} for row in rows]
    write_json(folder / "leaderboard.json", table)
    _write_csv(folder / "leaderboard.csv", [field.name for field in fields(Row)], [list(r.values()) for r in table])
    tree: dict[str, Any] = {}
    for row in table:
        by_loss = tree.setdefault(row["dataset"], {}).setdefault(row["loss"], {})
        by_loss[f"{row['metric']}_{row['threshold']}"] = row["mean"]
    write_json(folder / "metrics.json", tree)
    curves = [
        [dataset, loss, row.seed, row.epoch, row.metric, f"{row.value:.9g}"]
        for dataset in params.grid.datasets
        for loss in params.grid.losses
        for row in history.read(runs.history_file(dataset, loss))
        if row.split == "val"
    ]
    _write_csv(folder / "curves.csv", ["dataset", "loss", "seed", "epoch", "metric", "value"], curves)


def read(path: Path) -> list[Row]:
    """Read leaderboard.json.

    Raises:
        InputError: the file is missing or is not a leaderboard.
    """
    try:
        return TypeAdapter(list[Row]).validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InputError(
            f"{path}: missing or damaged ({' '.join(str(error).split())[:200]}); run `dvc repro`"
        ) from None


def _row(
    dataset: str,
    loss: str,
    metric: str,
    threshold: str,
    found: scores.Scores,
    baseline: scores.Scores,
    params: Params,
) -> Row:
    row = Row(dataset, loss, metric, threshold, seeds=len(found.seeds), images=len(found.images))
    if not found.seeds:
        return row
    settings = params.compare
    draws = _draws(found, found.seeds, metric, threshold, settings)
    row.mean, (row.low, row.high) = float(draws[0]), statistics.interval(draws[1:], settings.confidence)
    paired = tuple(seed for seed in found.seeds if seed in baseline.seeds)
    if loss == settings.baseline or not paired:
        row.verdict = "baseline" if loss == settings.baseline else "no baseline"
        return row
    gap = _draws(found, paired, metric, threshold, settings) - _draws(baseline, paired, metric, threshold, settings)
    row.delta, (row.delta_low, row.delta_high) = (
        float(gap[0]),
        statistics.interval(gap[1:], settings.confidence),
    )
    per_seed = [statistics.seed_values(_counts(which, paired, threshold), metric) for which in (found, baseline)]
    row.p = statistics.sign_flip_p(per_seed[0] - per_seed[1])
    row.verdict = "n too small" if len(paired) < statistics.SMALLEST_N else "no difference shown"
    return row


def _judge(table: Sequence[Row], settings: Compare) -> None:
    """Adjust the p-values of one table, in which the losses are the family, and judge by them."""
    tested = [row for row in table if row.p is not None]
    for row, adjusted in zip(tested, statistics.holm([row.p or 0.0 for row in tested]), strict=True):
        row.p_adjusted = adjusted
        if row.verdict == "no difference shown" and adjusted <= 1 - settings.confidence:
            row.verdict = "better" if (row.delta or 0.0) > 0 else "worse"


def _draws(
    found: scores.Scores, seeds: Sequence[int], metric: str, threshold: str, settings: Compare
) -> statistics.Floats:
    resampler = statistics.Resampler(seeds, len(found.images), settings.resamples, settings.seed)
    return resampler.draws(_counts(found, seeds, threshold), metric)


def _counts(found: scores.Scores, seeds: Sequence[int], threshold: str) -> scores.Counts:
    return found.counts[threshold][[found.seeds.index(seed) for seed in seeds]]


def _status(params: Params, dataset: str, loss: str) -> str:
    rows = history.read(runs.history_file(dataset, loss))
    steps = [step for seed in params.train.seeds if (step := history.diverged_step(rows, seed)) is not None]
    if not steps:
        return "ok"
    return f"diverged: {len(steps)} of {len(params.train.seeds)} seeds, first at step {min(steps)}"


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
