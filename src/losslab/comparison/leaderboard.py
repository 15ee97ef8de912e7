"""The leaderboard: a row per data set, network, loss, metric and threshold rule, with interval, test, verdict."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from losslab.comparison import analysis, significance
from losslab.comparison.loss_results import OK, Comparison
from losslab.evaluation.metrics import METRICS
from losslab.results import history, paths, scores, tables
from losslab.results.files import write_json
from losslab.results.standings import Standing
from losslab.settings.params import Compare
from losslab.settings.plans import ComparePlan, cells

NO_VALUE = "no value"


def compute(comparison: Comparison, settings: Compare) -> list[Standing]:
    """The leaderboard of one comparison: a row per metric, threshold rule and loss, in the order of the grid."""
    measured = {metric for result in comparison.losses.values() for metric, _ in result.values}
    return [
        row
        for metric in METRICS
        if metric in measured or not measured
        for threshold in scores.THRESHOLDS
        for row in table(comparison, metric, threshold, settings)
    ]


def table(comparison: Comparison, metric: str, threshold: str, settings: Compare) -> list[Standing]:
    """One table of the leaderboard: a row per loss, which together are the family that p is adjusted for."""
    rows = [_row(comparison, loss, metric, threshold, settings) for loss in comparison.losses]
    _judge(rows, [len(_paired(comparison, row.loss, settings)) for row in rows], settings)
    return rows


def write(rows: Sequence[Standing], plan: ComparePlan, folder: Path, metrics_file: Path) -> None:
    """`leaderboard.json`, `leaderboard.csv`, for `dvc plots` `curves.csv`, and for `dvc metrics` the metrics file."""
    records = [{key: _rounded(value) for key, value in asdict(row).items()} for row in rows]
    write_json(folder / paths.LEADERBOARD.name, records)
    tables.write(
        folder / "leaderboard.csv", [field.name for field in fields(Standing)], [list(r.values()) for r in records]
    )
    tree: dict[str, Any] = {}
    for row in records:
        by_loss = tree.setdefault(row["dataset"], {}).setdefault(row["network"], {}).setdefault(row["loss"], {})
        if METRICS[row["metric"]].headline:
            by_loss[f"{row['metric']}_{row['threshold']}"] = row["mean"]
    write_json(metrics_file, tree)
    curves = (
        [*cell.names, row.seed, row.epoch, row.metric, f"{row.value:.9g}"]
        for cell in cells(plan.grid)
        for row in history.read(paths.history_file(cell))
        if row.split == "val"
    )
    tables.write(folder / "curves.csv", ["dataset", "network", "loss", "seed", "epoch", "metric", "value"], curves)


def _row(comparison: Comparison, loss: str, metric: str, threshold: str, settings: Compare) -> Standing:
    result, baseline = comparison.losses[loss], comparison.losses[settings.baseline]
    seeds, images = result.scores.seeds, result.scores.images
    row = Standing(
        comparison.dataset, comparison.network, loss, metric, threshold, seeds=len(seeds), images=len(images)
    )
    row.status, row.convergence = result.status, "; ".join(result.unconverged) or OK
    if not result.values:
        row.verdict = "diverged" if row.status.startswith("diverged") else NO_VALUE
        return row
    values = result.values[metric, threshold]
    mean = analysis.summary(result, values, settings.confidence, highest=METRICS[metric].highest)
    row.mean, row.low, row.high = mean["mean"], mean["low"], mean["high"]
    paired = _paired(comparison, loss, settings)
    if row.mean is None:
        row.verdict = NO_VALUE
    elif loss == settings.baseline:
        row.verdict = "baseline"
    elif not paired:
        row.verdict = "no baseline"
    else:
        gap = result.of(metric, threshold, paired) - baseline.of(metric, threshold, paired)
        row.delta = float(gap[0].mean())
        row.delta_low, row.delta_high = result.resampler.interval(gap, settings.confidence)
        row.p = significance.sign_flip_p(gap[0])
    return row


def _paired(comparison: Comparison, loss: str, settings: Compare) -> tuple[int, ...]:
    """The seeds that a loss and the baseline share, on the same images."""
    result, baseline = comparison.losses[loss], comparison.losses[settings.baseline]
    if not (result.comparable and baseline.comparable):
        return ()
    return tuple(seed for seed in result.scores.seeds if seed in baseline.scores.seeds)


def _judge(rows: Sequence[Standing], pairs: Sequence[int], settings: Compare) -> None:
    """Adjust the p-values of one table for being a family, and judge by them."""
    tested = [(row, n) for row, n in zip(rows, pairs, strict=True) if row.p is not None]
    adjusted = significance.holm([row.p or 0.0 for row, _ in tested])
    # What the adjusted p would be at best: with few seeds even that calls nothing.
    at_best = significance.holm([significance.smallest_p(n) for _, n in tested])
    level = 1 - settings.confidence + 1e-12
    for (row, _), p, smallest in zip(tested, adjusted, at_best, strict=True):
        row.p_adjusted = p
        if smallest > level:
            row.verdict = "n too small"
        elif p > level:
            row.verdict = "no difference shown"
        else:
            lower = (row.delta or 0.0) < 0
            row.verdict = "better" if lower == METRICS[row.metric].lower_is_better else "worse"


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
