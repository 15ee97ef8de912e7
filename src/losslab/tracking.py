"""MLflow: a projection of what the files say.

`sync` brings the MLflow run of (data set, loss, seed) up to date and logs only what is new, so it can be called at any
time and any number of times: `train` calls it each epoch, `evaluate` when there are scores, `make track` for every run.
A run is found by its tag `run_key`. A store that cannot be reached costs a warning and a later sync, never a result.
"""

import fcntl
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from losslab import history, predictions, runs, scores, statistics
from losslab.data import tensors
from losslab.history import Row
from losslab.params import Params
from losslab.runs import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

SYNCED_ROWS = "history_rows"
"""Tag with the number of history rows that are logged."""

SAMPLE_IMAGES = 4

_unreachable = False


def sync(
    run: Run,
    rows: Iterable[Row] = (),
    *,
    final: Mapping[str, float] | None = None,
    draw_sample: Callable[[Path], None] | None = None,
    device: str | None = None,
) -> None:
    """Log what MLflow does not have yet.

    Args:
        run: which run.
        rows: the run's history so far; rows of other seeds are passed over.
        final: test metrics by name.
        draw_sample: draws a figure of test images, to be kept beside new scores.
        device: name of the device that trains it, if it is being trained.
    """
    global _unreachable
    if _unreachable:
        return
    try:
        _sync(run, [row for row in rows if row.seed == run.seed], final or {}, draw_sample, device)
    except Exception as error:  # whatever a tracking server does, training goes on
        _unreachable = True
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        tqdm.write(f"warning: MLflow is not up to date ({reason[:200]}); run `make track` once it can be reached")


def sync_results(params: Params, dataset: str, loss: str) -> None:
    """`sync` every seed of a loss from the files that train and evaluate left: history, scores, a sample figure.

    Raises:
        InputError: the files are not there.
    """
    rows = history.read(runs.history_file(dataset, loss))
    table = scores.read(runs.scores_file(dataset, loss))
    for run in runs.of(params, dataset, loss):
        if run.seed not in table.seeds:
            sync(run, rows)
            continue
        which = [table.seeds.index(run.seed)]
        values = {
            f"test_{metric}_{threshold}": round(float(statistics.seed_values(counts[which], metric)[0]), 6)
            for threshold, counts in table.counts.items()
            for metric in statistics.METRICS
        }
        sync(run, rows, final=values, draw_sample=partial(_draw_sample, dataset, loss, run.seed))


def _draw_sample(dataset: str, loss: str, seed: int, path: Path) -> None:
    from losslab import figures

    split = tensors.read(runs.split_file(dataset, "test"))
    masks = predictions.read(runs.predictions_folder(dataset, loss) / f"seed{seed}.safetensors", split.masks.shape[-1])
    chosen = tensors.spread(split, SAMPLE_IMAGES)
    figures.prediction_grid(
        path,
        split.images[chosen],
        split.masks[chosen].astype(bool),
        {f"{loss} seed {seed}": masks[chosen]},
        [split.ids[index] for index in chosen],
    )


def _sync(
    run: Run,
    rows: list[Row],
    final: Mapping[str, float],
    draw_sample: Callable[[Path], None] | None,
    device: str | None,
) -> None:
    client, experiment = _open(run.dataset)
    known = _find(client, experiment, run) or _create(client, experiment, run)
    run_id = known.info.run_id
    if device:
        client.set_tag(run_id, "device", device)
    _log_history(client, known, rows)
    new = {name: value for name, value in final.items() if known.data.metrics.get(name) != value}
    if new:
        client.log_batch(run_id, metrics=[_metric(name, value, 0) for name, value in new.items()])
        if draw_sample:
            with tempfile.TemporaryDirectory() as folder:
                draw_sample(Path(folder, "sample.png"))
                client.log_artifact(run_id, str(Path(folder, "sample.png")))
    diverged = any(row.metric == "diverged" for row in rows)
    done = bool(rows) and max(row.epoch for row in rows) >= run.config["train"]["epochs"]
    stage = "evaluated" if final else "trained" if done or diverged else "training"
    if final or known.data.tags.get("stage") != "evaluated":
        client.set_tag(run_id, "stage", stage)
    if stage != "training":
        client.set_terminated(run_id, "FAILED" if diverged else "FINISHED")


def _log_history(client: "MlflowClient", known: "MlflowRun", rows: list[Row]) -> None:
    logged = int(known.data.tags.get(SYNCED_ROWS, 0))
    batch = [_metric(f"{row.split}_{row.metric}", row.value, row.step) for row in rows[logged:]]
    for start in range(0, len(batch), 1000):  # MLflow's limit for one call
        client.log_batch(known.info.run_id, metrics=batch[start : start + 1000])
    if batch:
        client.set_tag(known.info.run_id, SYNCED_ROWS, str(len(rows)))


def _find(client: "MlflowClient", experiment: str, run: Run) -> "MlflowRun | None":
    found = client.search_runs([experiment], f"tags.run_key = '{run.key}'", max_results=1)
    return found[0] if found else None


def _create(client: "MlflowClient", experiment: str, run: Run) -> "MlflowRun":
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    tags = {
        "run_key": run.key,
        "loss": run.loss,
        "kind": run.config["loss"]["kind"],
        "dataset": run.dataset,
        "seed": str(run.seed),
        "git_commit": _git_commit(),
        "data_md5": run.data_md5,
        "code_fingerprint": run.code,
    }
    created = client.create_run(experiment, tags=tags, run_name=f"{run.loss}-seed{run.seed}")
    options = dict(_flat(run.config))
    client.log_batch(created.info.run_id, params=[Param(key, str(value)) for key, value in options.items()])
    path = runs.split_file(run.dataset, "train")
    dataset = Dataset(run.dataset, digest=run.data_md5, source_type="local", source=str(path))
    client.log_inputs(created.info.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
    return created


@cache
def _open(dataset: str) -> "tuple[MlflowClient, str]":
    """A client of the store and the id of the data set's experiment, made if it is not there."""
    # A server that is down is noticed in seconds, not after MLflow's minutes of retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    uri, root = os.environ.get("MLFLOW_TRACKING_URI"), Path(os.environ.get("DVC_ROOT", ".")).resolve()
    # Processes that create one database, or one experiment, at once trip over each other.
    with (root / "mlflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = MlflowClient(uri or f"sqlite:///{root / 'mlflow.db'}")
        found = client.get_experiment_by_name(dataset)
        if found is not None:
            return client, found.experiment_id
        artifacts = None if uri else (root / "mlartifacts" / dataset).as_uri()
        return client, client.create_experiment(dataset, artifact_location=artifacts)


def _metric(name: str, value: float, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(name, value, int(time.time() * 1000), step)


def _flat(tree: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        yield path, tree
        return
    for key, value in items:
        yield from _flat(value, f"{path}.{key}" if path else str(key))


@cache
def _git_commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
