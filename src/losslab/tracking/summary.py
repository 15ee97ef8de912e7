"""What all runs of a data set say together, in MLflow: verdicts as tags, the report, the champion."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from losslab.comparison import convergence
from losslab.evaluation.metrics import METRICS
from losslab.results import history, paths
from losslab.results.files import digest
from losslab.results.runs import Run
from losslab.results.standings import RANKED_BY, RULES, Standing, Verdict, ranking_rule
from losslab.settings.plans import Cell
from losslab.tracking import champion, store
from losslab.tracking.runs import find, log, metric

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun


def write(
    dataset: str, cells: Mapping[Cell, Sequence[Run]], rows: Sequence[Standing], verdicts: Sequence[Verdict]
) -> None:
    """What all runs together say: verdicts as tags, the ends of intervals and the time to quality as metrics, the
    report as a run of its own, the champion as a model."""
    client, experiment = store.connect(dataset)
    _write_figures(client, experiment, dataset, rows, verdicts)
    best = champion.choose(cells, rows, verdicts)
    keys = {run.key for its_runs in cells.values() for run in its_runs}
    reigning = champion.reigning(client, *best, keys) if best else None
    words = {Cell(row.dataset, row.network, row.loss): row.verdict for row in rows if row.decisive}
    targets = _targets(cells)
    crowned = ""
    for cell, its_runs in cells.items():
        curves = convergence.curves(history.read(paths.history_file(cell)))
        ends = {
            f"test_{row.metric}_{row.threshold}_{end}": value
            for row in rows
            if Cell(row.dataset, row.network, row.loss) == cell and METRICS[row.metric].headline
            for end, value in (("low", row.low), ("high", row.high))
            if value is not None
        }
        for run in its_runs:
            known = find(client, experiment, run.key)
            if known is None:
                continue
            is_best = best is not None and run.key == best[0].key and not reigning
            values = ends | _time_to_quality(client, known, curves.get(run.seed, []), targets[cell.network])
            batch = [metric(name, value, 0) for name, value in values.items() if known.data.metrics.get(name) != value]
            log(client, known, batch, {"verdict": words[cell], "champion": str(is_best).lower()})
            crowned = known.info.run_id if is_best else crowned
    for former in client.search_runs([experiment], "tags.champion = 'true'"):
        if former.info.run_id not in (crowned, reigning):  # other options, other code
            client.set_tag(former.info.run_id, "champion", "false")
    if store.is_own():
        for left in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            if left.data.tags["run_key"] not in keys:  # killed, and then params or code changed
                client.set_terminated(left.info.run_id, "KILLED")
    if best and crowned:
        champion.register(client, experiment, crowned, *best)


def _targets(cells: Mapping[Cell, Sequence[Run]]) -> dict[str, dict[int, float]]:
    """Network → percent → the validation mIoU that is so much of the best of any loss."""
    by_network: dict[str, list[convergence.Curves]] = {}
    for cell in cells:
        by_network.setdefault(cell.network, []).append(convergence.curves(history.read(paths.history_file(cell))))
    return {network: convergence.targets(curves) for network, curves in by_network.items()}


def _time_to_quality(
    client: "MlflowClient", known: "MlflowRun", curve: convergence.Curve, targets: Mapping[int, float]
) -> dict[str, float]:
    """Epochs until a run reached each target, and seconds where MLflow saw them pass."""
    reached = {percent: point for percent, target in targets.items() if (point := convergence.first(curve, target))}
    values = {f"epochs_to_{percent}": float(point.epoch) for percent, point in reached.items()}
    if reached and "seconds" in known.data.metrics:
        seconds = {one.step: one.value for one in client.get_metric_history(known.info.run_id, "seconds")}
        values |= {
            f"seconds_to_{percent}": seconds[point.step] for percent, point in reached.items() if point.step in seconds
        }
    return values


def _write_figures(
    client: "MlflowClient",
    experiment: str,
    dataset: str,
    rows: Sequence[Standing],
    verdicts: Sequence[Verdict],
) -> None:
    folder, page = paths.FIGURES / dataset, paths.REPORT
    files = [path for path in (*sorted(folder.rglob("*.png")), page) if path.is_file()]
    content = hashlib.sha256("".join(digest(path) for path in files).encode()).hexdigest()[:32]
    with store.lock():
        known = find(client, experiment, f"report-{dataset}")
        if not files or (known and known.data.tags.get("content") == content):
            return
        if known is None:
            tags = {"run_key": f"report-{dataset}", "dataset": dataset, "stage": "report"}
            known = client.create_run(experiment, tags=tags, run_name="report")
            client.set_terminated(known.info.run_id)
    for path in files:
        below = path.relative_to(folder).parent if path != page else None
        client.log_artifact(known.info.run_id, str(path), None if below is None else str("figures" / below))
    log(client, known, [], {"content": content, "mlflow.note.content": _note(rows, verdicts)})


def _note(rows: Sequence[Standing], verdicts: Sequence[Verdict]) -> str:
    """The verdicts and the leaderboard in Markdown, in the order of the report."""
    ranking, rule = METRICS[RANKED_BY], RULES[ranking_rule([row.threshold for row in rows])]
    lines = [f"{verdict.network}: {verdict.headline}\n" for verdict in verdicts]
    lines += [
        f"| network | loss | test {ranking.title}, {rule} | interval | seeds | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in (row for row in rows if row.decisive):
        interval = "–" if row.low is None else f"{ranking.text(row.low)} to {ranking.text(row.high)}"
        score = f"{ranking.text(row.mean)} | {interval}"
        lines.append(f"| {row.network} | {row.loss} | {score} | {row.seeds} | {row.verdict} |")
    return "\n".join(lines)
