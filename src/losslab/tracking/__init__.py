"""MLflow: a projection of what the files say.

`sync` brings the MLflow run of (data set, loss, seed) up to date and logs only what is new, so it can be called at any
time and any number of times: `train` calls it each epoch, `evaluate` when there are scores. `sync_everything` does so
for every run, and adds what only all of them together say: verdicts, the report's figures, the champion; `report`
calls it, and `make track`. A run is found by its tag `run_key`. A store that cannot be reached costs a warning and a
later sync, never a result. `LOSSLAB_MLFLOW=off` leaves MLflow alone.
"""

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from tqdm import tqdm

from losslab import boundaries, history, leaderboard, predictions, runs, scores, statistics
from losslab.data import tensors
from losslab.data.fetch import digest
from losslab.history import Row
from losslab.params import Params
from losslab.runs import Run
from losslab.tracking import champion, store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

SAMPLE_IMAGES = 4

PATIENCE = 300.0
"""Seconds until a store that failed is tried again: a training does not wait for it at every epoch."""

_retry_at = 0.0
_last_sync = time.time()
"""When the last `sync` ended; at first, when this module was loaded, which is just before training starts."""
_spent: dict[str, tuple[float, int]] = {}
"""Run key → seconds and steps of training that MLflow does not know of yet."""
_logged: dict[str, set[tuple[str, int]]] = {}
"""Run key → metrics and steps that MLflow has."""


def sync(
    run: Run,
    rows: Iterable[Row] = (),
    *,
    final: Mapping[str, float] | None = None,
    draw_sample: Callable[[Path], None] | None = None,
    device: str | None = None,
) -> bool:
    """Log what MLflow does not have yet; whether it now has it all.

    Args:
        run: which run.
        rows: the run's history so far; rows of other seeds are passed over.
        final: test metrics by name.
        draw_sample: draws a figure of test images, to be kept beside new scores.
        device: name of the device, if the run is being trained by this process.
    """
    global _last_sync
    own = [row for row in rows if row.seed == run.seed]
    if device and own:
        seconds, steps = _spent.get(run.key, (0.0, 0))
        before = max((row.step for row in own if row.epoch < own[-1].epoch), default=0)
        _spent[run.key] = (seconds + time.time() - _last_sync, steps + own[-1].step - before)
    done = _attempt(lambda: _sync(run, own, final or {}, draw_sample, device))
    if not done:
        _logged.pop(run.key, None)  # what arrived is not known
    _last_sync = time.time()
    return done


def sync_results(params: Params, dataset: str, loss: str) -> bool:
    """`sync` every seed of a loss from the files that train and evaluate left, as far as they are there.

    Raises:
        InputError: a file is damaged.
    """
    return _sync_files(dataset, loss, runs.of(params, dataset, loss))


def sync_everything(params: Params) -> bool:
    """Bring MLflow up to what all files say; whether it is.

    Raises:
        InputError: a file is damaged.
    """
    if is_off():
        return True
    done = True
    for dataset in params.grid.datasets:
        found = {loss: runs.of(params, dataset, loss) for loss in params.grid.losses}
        for loss, its_runs in found.items():
            done &= _sync_files(dataset, loss, its_runs)
        path = runs.RESULTS / "leaderboard.json"
        if path.is_file():
            rows = [row for row in leaderboard.read(path) if row.dataset == dataset]
            done &= _attempt(partial(_sync_report, dataset, found, rows))
    return done


def is_off() -> bool:
    """Whether the user wants MLflow to be left alone."""
    return os.environ.get("LOSSLAB_MLFLOW") == "off"


def _sync_files(dataset: str, loss: str, found: Sequence[Run]) -> bool:
    history_file, scores_file = runs.history_file(dataset, loss), runs.scores_file(dataset, loss)
    if not history_file.is_file():
        return True
    rows = history.read(history_file)
    table = scores.read(scores_file) if scores_file.is_file() else None
    edges = boundaries.read(runs.boundaries_file(dataset, loss)) if table else None
    done = True
    for run in found:
        about = _about(champion.model_path(run))
        if about and {key: about.get(key) for key in run.config} != json.loads(json.dumps(run.config)):
            tqdm.write(f"{dataset} {loss}: the results are of other params; `dvc repro` brings them up to date")
            return True
        if table is None or edges is None or run.seed not in table.seeds:
            done &= sync(run, rows)
            continue
        which = [table.seeds.index(run.seed)]
        values: dict[str, float] = {}
        for threshold, counts in table.counts.items():
            here = statistics.from_counts(counts[which], statistics.unweighted)
            here |= statistics.from_boundaries(edges.values[threshold][which], statistics.unweighted)
            values |= {f"test_{metric}_{threshold}": value.item() for metric, value in here.items()}
        by_class = statistics.class_iou(table.counts["tuned"][which])[0]
        values |= {
            f"test_iou_tuned_{name}": value for name, value in zip(table.classes, by_class.tolist(), strict=True)
        }
        final = {name: round(value, 6) for name, value in values.items() if value == value}  # no NaN
        if about:
            final["threshold"] = about["threshold"]
        done &= sync(run, rows, final=final, draw_sample=partial(_draw_sample, dataset, loss, run.seed))
    return done


def _attempt(work: Callable[[], None]) -> bool:
    """Do it unless MLflow is off or failed a short time ago; whatever goes wrong is a warning."""
    global _retry_at
    if is_off():
        return True
    if time.monotonic() < _retry_at:
        return False
    try:
        work()
        return True
    except champion.NotExportable as error:
        tqdm.write(f"warning: MLflow has no champion: its network cannot be exported ({error})")
        return True
    except Exception as error:  # whatever a tracking server does, training goes on
        _retry_at = time.monotonic() + PATIENCE
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = "" if isinstance(error, store.Unavailable) else f"{store.address()}: "
        tqdm.write(f"warning: MLflow is not up to date ({where}{reason[:200]}); run `make track` once that is mended")
        return False


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


def _about(path: Path) -> dict[str, Any]:
    """What a model file says of itself; nothing if there is no such file."""
    if not path.is_file():
        return {}
    with safe_open(path, "np") as file:
        about: dict[str, Any] = json.loads(file.metadata()["losslab"])
        return about


def _sync(
    run: Run,
    rows: list[Row],
    final: Mapping[str, float],
    draw_sample: Callable[[Path], None] | None,
    device: str | None,
) -> None:
    client, experiment = store.connect(run.dataset)
    known = _find(client, experiment, run.key) or _create(client, experiment, run)
    run_id = known.info.run_id
    if known.inputs is None or not known.inputs.dataset_inputs:
        _describe(client, run_id, run)
    _log_history(client, known, run.key, rows)
    new = {name: value for name, value in final.items() if known.data.metrics.get(name) != value}
    batch = [_metric(name, value, 0) for name, value in new.items()]
    diverged = any(row.metric == "diverged" for row in rows)
    done = bool(rows) and max(row.epoch for row in rows) >= run.config["train"]["epochs"]
    tags = {"stage": "evaluated" if final else "trained" if done or diverged else "training"}
    if known.data.tags.get("stage") == "evaluated":
        del tags["stage"]
    if device and run.key in _spent:
        batch += _speed(known, run, rows[-1].step)
        tags["device"] = device
    _log(client, known, batch, tags)
    _spent.pop(run.key, None)
    if new and draw_sample:
        with tempfile.TemporaryDirectory() as folder:
            draw_sample(Path(folder, "sample.png"))
            client.log_artifact(run_id, str(Path(folder, "sample.png")))
    status = "FAILED" if diverged else "FINISHED"
    # Ended when training did: a later call, such as evaluate's, leaves the time as it is.
    if (done or diverged or final) and known.info.status != status:
        client.set_terminated(run_id, status)


def _log_history(client: "MlflowClient", known: "MlflowRun", key: str, rows: list[Row]) -> None:
    names = {f"{row.split}_{row.metric}" for row in rows} & known.data.metrics.keys()
    if key not in _logged:  # after a failure too: an answer may have been lost on the way back
        _logged[key] = {(n, m.step) for n in names for m in client.get_metric_history(known.info.run_id, n)}
    new = [row for row in rows if (f"{row.split}_{row.metric}", row.step) not in _logged[key]]
    batch = [_metric(f"{row.split}_{row.metric}", row.value, row.step) for row in new]
    for start in range(0, len(batch), 1000):  # MLflow's limit for one call
        client.log_batch(known.info.run_id, metrics=batch[start : start + 1000])
    _logged[key] |= {(f"{row.split}_{row.metric}", row.step) for row in new}


def _speed(known: "MlflowRun", run: Run, step: int) -> list[Any]:
    """Seconds of training up to `step`, and images a second since MLflow last heard of the run; validation included."""
    seconds, steps = _spent.get(run.key, (0.0, 0))
    count = len(tensors.read(runs.split_file(run.dataset, "train")).ids)
    images = steps * min(run.config["train"]["batch_size"], count)
    total = known.data.metrics.get("seconds", 0.0) + seconds
    return [_metric("seconds", round(total, 3), step), _metric("images_per_second", round(images / seconds, 1), step)]


def _sync_report(dataset: str, found: Mapping[str, Sequence[Run]], rows: Sequence[leaderboard.Row]) -> None:
    """What all runs together say: verdicts as tags, the report as a run of its own, the champion as a model."""
    client, experiment = store.connect(dataset)
    _sync_figures(client, experiment, dataset, rows)
    best = champion.choose(found, rows)
    verdicts = {row.loss: row.verdict for row in rows if (row.metric, row.threshold) == ("miou", "tuned")}
    keys, crowned = set(), ""
    for loss, its_runs in found.items():
        for run in its_runs:
            keys.add(run.key)
            known = _find(client, experiment, run.key)
            if known is None:
                continue
            is_best = best is not None and run.key == best[0].key
            _log(client, known, [], {"verdict": verdicts[loss], "champion": str(is_best).lower()})
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


def _sync_figures(client: "MlflowClient", experiment: str, dataset: str, rows: Sequence[leaderboard.Row]) -> None:
    folder, page = runs.RESULTS / "figures" / dataset, runs.RESULTS / "report.html"
    files = [path for path in (*sorted(folder.rglob("*.png")), page) if path.is_file()]
    content = hashlib.sha256("".join(digest(path) for path in files).encode()).hexdigest()[:32]
    known = _find(client, experiment, f"report-{dataset}")
    if not files or (known and known.data.tags.get("content") == content):
        return
    if known is None:
        tags = {"run_key": f"report-{dataset}", "dataset": dataset, "stage": "report"}
        known = client.create_run(experiment, tags=tags, run_name="report")
        client.set_terminated(known.info.run_id)
    for path in files:
        client.log_artifact(known.info.run_id, str(path), None if path == page else "figures")
    _log(client, known, [], {"content": content, "mlflow.note.content": _table(rows)})


def _table(rows: Sequence[leaderboard.Row]) -> str:
    """The leaderboard in Markdown, best first."""
    tuned = [row for row in rows if (row.metric, row.threshold) == ("miou", "tuned")]
    lines = ["| loss | test mIoU, tuned threshold | interval | seeds | verdict |", "|---|---|---|---|---|"]
    for row in sorted(tuned, key=lambda row: row.mean or 0.0, reverse=True):
        value = "–" if row.mean is None else f"{row.mean:.3f}"
        interval = "–" if row.low is None else f"{row.low:.3f} – {row.high:.3f}"
        lines.append(f"| {row.loss} | {value} | {interval} | {row.seeds} | {row.verdict} |")
    return "\n".join(lines)


def _log(client: "MlflowClient", known: "MlflowRun", metrics: list[Any], tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    changed = [RunTag(name, value) for name, value in tags.items() if known.data.tags.get(name) != value]
    if metrics or changed:
        client.log_batch(known.info.run_id, metrics=metrics, tags=changed)


def _find(client: "MlflowClient", experiment: str, key: str) -> "MlflowRun | None":
    found = client.search_runs([experiment], f"tags.run_key = '{key}'", max_results=1)
    return found[0] if found else None


def _create(client: "MlflowClient", experiment: str, run: Run) -> "MlflowRun":
    tags = {
        "run_key": run.key,
        "loss": run.loss,
        "kind": run.config["loss"]["kind"],
        "dataset": run.dataset,
        "seed": str(run.seed),
        "variant": f"{run.loss}-{_digest([run.config, run.data_md5, run.code])}",
        "git_commit": _git_commit(),
        "data_md5": run.data_md5,
        "code_fingerprint": run.code,
    }
    with store.lock():
        if known := _find(client, experiment, run.key):  # another process was first
            return known
        start = int(1000 * (time.time() - _spent.get(run.key, (0.0, 0))[0]))
        return client.create_run(experiment, start, tags, run_name=f"{run.loss}-seed{run.seed}")


def _describe(client: "MlflowClient", run_id: str, run: Run) -> None:
    """All options as params, and the training data."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in _flat(run.config)])
    path = runs.split_file(run.dataset, "train")
    dataset = Dataset(run.dataset, digest=run.data_md5, source_type="local", source=str(path))
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])


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
    """The commit, and whether what decides a result has been edited since."""
    commit, edited = (
        subprocess.run(["git", *command], capture_output=True, text=True).stdout.strip()
        for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", "src", "pipeline", "params.yaml"))
    )
    return f"{commit}-dirty" if edited else commit or "unknown"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
