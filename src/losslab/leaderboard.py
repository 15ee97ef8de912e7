"""The leaderboard: one row per data set, loss, metric and threshold rule, with intervals, tests and verdicts."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from losslab import analysis, history, runs, scores, statistics
from losslab.comparison import Comparison
from losslab.errors import InputError
from losslab.files import atomic_file, write_json
from losslab.params import Compare, Params

NO_VALUE = "no value"
HEADLINE = ("miou", "dice")
"""The metrics that `dvc metrics` and `dvc exp show` print: a column for each loss, so only the most used."""


@dataclass
class Row:
    """A mean over seeds with its interval, and its difference to the baseline; None where there is nothing to say.

    `verdict` is better, worse, no difference shown or n too small; baseline, or no baseline where there is none to
    compare with; diverged, or no value where nothing could be measured. It rests on the adjusted p of this row's table:
    losses are corrected for, metrics are not, so the verdict to quote is that of one metric chosen beforehand.
    """

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


def compute(comparison: Comparison, settings: Compare) -> list[Row]:
    """The leaderboard of one data set: for every metric and threshold rule a row per loss, in the order of the grid."""
    return [
        row
        for metric in (*statistics.METRICS, *statistics.BOUNDARY_METRICS)
        for threshold in scores.THRESHOLDS
        for row in table(comparison, metric, threshold, settings)
    ]


def table(comparison: Comparison, metric: str, threshold: str, settings: Compare) -> list[Row]:
    """One table of the leaderboard: a row per loss, which together are the family that p is adjusted for."""
    rows = [_row(comparison, loss, metric, threshold, settings) for loss in comparison.losses]
    _judge(rows, [len(_paired(comparison, row.loss, settings)) for row in rows], settings)
    return rows


def write(rows: Sequence[Row], params: Params, folder: Path) -> None:
    """`leaderboard.json`, `leaderboard.csv`, `metrics.json` for `dvc metrics` and `curves.csv` for `dvc plots`."""
    records = [{key: _rounded(value) for key, value in asdict(row).items()} for row in rows]
    write_json(folder / "leaderboard.json", records)
    _write_csv(folder / "leaderboard.csv", [field.name for field in fields(Row)], [list(r.values()) for r in records])
    tree: dict[str, Any] = {}
    for row in records:
        by_loss = tree.setdefault(row["dataset"], {}).setdefault(row["loss"], {})
        if row["metric"] in HEADLINE:
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


def _row(comparison: Comparison, loss: str, metric: str, threshold: str, settings: Compare) -> Row:
    found, baseline = comparison.losses[loss], comparison.losses[settings.baseline]
    seeds, images = found.scores.seeds, found.scores.images
    row = Row(comparison.dataset, loss, metric, threshold, seeds=len(seeds), images=len(images))
    row.status = found.status
    if not found.values:
        row.verdict = "diverged" if row.status.startswith("diverged") else NO_VALUE
        return row
    values = found.values[metric, threshold]
    mean = analysis.summary(found, values, settings.confidence, highest=_highest(metric))
    row.mean, row.low, row.high = mean["mean"], mean["low"], mean["high"]
    paired = _paired(comparison, loss, settings)
    if row.mean is None:
        row.verdict = NO_VALUE
    elif loss == settings.baseline:
        row.verdict = "baseline"
    elif not paired:
        row.verdict = "no baseline"
    else:
        gap = found.of(metric, threshold, paired) - baseline.of(metric, threshold, paired)
        row.delta = float(gap[0].mean())
        row.delta_low, row.delta_high = found.resampler.interval(gap, settings.confidence)
        row.p = statistics.sign_flip_p(gap[0])
    return row


def _paired(comparison: Comparison, loss: str, settings: Compare) -> tuple[int, ...]:
    """The seeds that a loss and the baseline share, on the same images."""
    found, baseline = comparison.losses[loss], comparison.losses[settings.baseline]
    if not (found.comparable and baseline.comparable):
        return ()
    return tuple(seed for seed in found.scores.seeds if seed in baseline.scores.seeds)


def _judge(rows: Sequence[Row], pairs: Sequence[int], settings: Compare) -> None:
    """Adjust the p-values of one table for being a family, and judge by them."""
    tested = [(row, n) for row, n in zip(rows, pairs, strict=True) if row.p is not None]
    adjusted = statistics.holm([row.p or 0.0 for row, _ in tested])
    # What the adjusted p would be at best: with few seeds even that calls nothing.
    at_best = statistics.holm([statistics.smallest_p(n) for _, n in tested])
    level = 1 - settings.confidence + 1e-12
    for (row, _), p, smallest in zip(tested, adjusted, at_best, strict=True):
        row.p_adjusted = p
        if smallest > level:
            row.verdict = "n too small"
        elif p > level:
            row.verdict = "no difference shown"
        else:
            lower = (row.delta or 0.0) < 0
            row.verdict = "better" if lower == (row.metric in statistics.LOWER_IS_BETTER) else "worse"


def _highest(metric: str) -> float:
    return float("inf") if metric == "hd95" else 1.0


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def families(params: Params) -> list[dict[str, Any]]:
    """Losses of the grid that are sums of the same terms with other weights: `{name, x_label, members: [{x, loss}]}`.

    Terms are the same if all their options are. Members differ in one weight, which is x (as in MSE + x · Dice), or in
    two whose sum is constant; then x is the first of them (as in x · MSE + (1 − x) · Dice). Others are no family.
    """
    groups: dict[str, dict[str, list[float]]] = {}
    for loss in params.grid.losses:
        spec = params.losses[loss]
        if spec["kind"] == "sum":
            terms = json.dumps([term["loss"] for term in spec["terms"]], sort_keys=True)
            groups.setdefault(terms, {})[loss] = [float(term.get("weight", 1.0)) for term in spec["terms"]]
    found = []
    for terms, members in groups.items():
        weights = np.array(list(members.values()))  # [L, terms]
        varied = np.flatnonzero((weights != weights[0]).any(axis=0))
        if len(varied) == 1 or (len(varied) == 2 and np.allclose(weights.sum(axis=1), weights[0].sum())):
            kinds = [term["kind"] for term in json.loads(terms)]
            points = [{"x": row[varied[0]], "loss": loss} for loss, row in members.items()]
            points.sort(key=lambda point: point["x"])
            found.append({"name": " + ".join(kinds), "x_label": f"weight of {kinds[varied[0]]}", "members": points})
    return found
