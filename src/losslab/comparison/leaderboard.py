"""The leaderboard: a row per data set, network, loss, metric and threshold rule, with its interval, and the verdict."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from losslab.comparison import analysis
from losslab.comparison.loss_results import OK, Comparison
from losslab.evaluation.metrics import METRICS
from losslab.results import history, paths, tables
from losslab.results.files import write_json
from losslab.results.standings import RANKED_BY, Standing, Verdict
from losslab.settings.params import Compare
from losslab.settings.plans import ComparePlan, cells


def compute(comparison: Comparison, verdict: Verdict, settings: Compare) -> list[Standing]:
    """The leaderboard of one comparison: a row per metric, threshold rule and loss, in the order of the verdict."""
    measured = dict.fromkeys(key for result in comparison.losses.values() for key in result.values)
    tables = list(measured) or [(RANKED_BY, comparison.rule)]
    rows = [_row(comparison, loss, *table, settings) for table in tables for loss in comparison.losses]
    for row in rows:
        if row.decisive:
            row.verdict = word(comparison, verdict, row)
    return verdict.order(rows)


def word(comparison: Comparison, verdict: Verdict, row: Standing) -> str:
    """What the verdict says of the loss of a row, in a word or two."""
    result = comparison.losses[row.loss]
    if not result.values:
        return "diverged" if result.diverged else "no value"
    if not result.comparable:
        return "not compared"
    if row.mean is None:
        return "no value"
    if result.diverged:
        return "unreliable"
    if row.loss == verdict.leader:
        return verdict.verdict if verdict.against else "the only one"
    if row.loss in verdict.contenders:
        return "undecided"
    return f"worse than {min(verdict.worse[row.loss], key=lambda loss: loss != verdict.leader)}"


def write(rows: Sequence[Standing], plan: ComparePlan, folder: Path, metrics_file: Path) -> None:
    """`leaderboard.json`, `leaderboard.csv`, for `dvc plots` `curves.csv`, and for `dvc metrics` the metrics file."""
    records = [{key: _rounded(value) for key, value in asdict(row).items()} for row in rows]
    write_json(folder / paths.LEADERBOARD.name, records)
    seeds = sorted({seed for row in rows for seed in row.by_seed})
    values = [[*list(r.values())[:-1], *(r["by_seed"].get(seed) for seed in seeds)] for r in records]
    columns = [*list(Standing.__dataclass_fields__)[:-1], *(f"seed_{seed}" for seed in seeds)]
    tables.write(folder / "leaderboard.csv", columns, values)
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
        return row
    values = result.values[metric, threshold]
    mean = analysis.summary(result, values, settings.confidence, highest=METRICS[metric].highest)
    row.mean, row.low, row.high = mean["mean"], mean["low"], mean["high"]
    if row.mean is None:
        return row
    row.by_seed = dict(zip(seeds, values[0].tolist(), strict=True))
    paired = [seed for seed in seeds if seed in baseline.scores.seeds] if baseline.comparable else []
    if loss != settings.baseline and paired and result.comparable:
        gap = result.of(metric, threshold, paired) - baseline.of(metric, threshold, paired)
        row.delta = float(gap[0].mean())
        row.delta_low, row.delta_high = result.resampler.interval(gap, settings.confidence)
    return row


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return round(value, 6) if isinstance(value, float) else value
