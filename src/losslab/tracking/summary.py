"""What all runs of a data set say together, in MLflow: verdicts as tags, the report, the champion."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from losslab.evaluation.metrics import METRICS
from losslab.results import paths
from losslab.results.files import digest
from losslab.results.runs import Run
from losslab.results.standings import RANKED_BY, RULES, Standing, ranking_rule
from losslab.settings.plans import Cell
from losslab.tracking import champion, store
from losslab.tracking.runs import find, log

if TYPE_CHECKING:
    from mlflow import MlflowClient


def write(dataset: str, cells: Mapping[Cell, Sequence[Run]], rows: Sequence[Standing]) -> None:
    """What all runs together say: verdicts as tags, the report as a run of its own, the champion as a model."""
    client, experiment = store.connect(dataset)
    _write_figures(client, experiment, dataset, rows)
    best = champion.choose(cells, rows)
    verdicts = {Cell(row.dataset, row.network, row.loss): row.verdict for row in rows if row.decisive}
    keys, crowned = set(), ""
    for cell, its_runs in cells.items():
        for run in its_runs:
            keys.add(run.key)
            known = find(client, experiment, run.key)
            if known is None:
                continue
            is_best = best is not None and run.key == best[0].key
            log(client, known, [], {"verdict": verdicts[cell], "champion": str(is_best).lower()})
            crowned = known.info.run_id if is_best else crowned
    for former in client.search_runs([experiment], "tags.champion = 'true'"):
        if former.data.tags["run_key"] not in keys:  # other options, other code
            client.set_tag(former.info.run_id, "champion", "false")
    if store.is_own():
        for left in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            if left.data.tags["run_key"] not in keys:  # killed, and then params or code changed
                client.set_terminated(left.info.run_id, "KILLED")
    if best and crowned:
        champion.register(client, experiment, crowned, *best)


def _write_figures(client: "MlflowClient", experiment: str, dataset: str, rows: Sequence[Standing]) -> None:
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
    log(client, known, [], {"content": content, "mlflow.note.content": _table(rows)})


def _table(rows: Sequence[Standing]) -> str:
    """The leaderboard in Markdown, best first."""
    metric, rule = METRICS[RANKED_BY], RULES[ranking_rule([row.threshold for row in rows])]
    lines = [
        f"| network | loss | test {metric.title}, {rule} | interval | seeds | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted((row for row in rows if row.decisive), key=lambda row: row.mean or 0.0, reverse=True):
        interval = "–" if row.low is None else f"{metric.text(row.low)} to {metric.text(row.high)}"
        score = f"{metric.text(row.mean)} | {interval}"
        lines.append(f"| {row.network} | {row.loss} | {score} | {row.seeds} | {row.verdict} |")
    return "\n".join(lines)
