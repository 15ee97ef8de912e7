"""One training run in MLflow: found by its key or made, its history, metrics and tags brought up to date."""

import hashlib
import json
import posixpath
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from losslab.data import tensors
from losslab.results import paths
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

NAME_LENGTH, TAG_LENGTH = 250, 5000
"""Characters that MLflow takes in a name, and in the value of a tag."""

_last_epoch = time.monotonic()
"""When MLflow was last told of an epoch; at first, when this was loaded, which is just before training starts."""
_spent: dict[str, tuple[float, int]] = {}
"""Run key → seconds and steps of training that MLflow does not know of yet."""
_logged: dict[str, set[tuple[str, int]]] = {}
"""Run key → metrics and steps that MLflow has."""


def begin_epoch(run: Run, rows: Sequence[Row]) -> None:
    """Count the time since the last epoch as spent on this run."""
    seconds, steps = _spent.get(run.key, (0.0, 0))
    before = max((row.step for row in rows if row.epoch < rows[-1].epoch), default=0)
    _spent[run.key] = (seconds + time.monotonic() - _last_epoch, steps + rows[-1].step - before)


def end_epoch() -> None:
    """The next epoch begins."""
    global _last_epoch
    _last_epoch = time.monotonic()


def forget(run: Run) -> None:
    """What MLflow has of the run is not known any more."""
    _logged.pop(run.key, None)


def write(
    run: Run,
    rows: Sequence[Row],
    final: Mapping[str, float],
    draw: Callable[[Path], None] | None,
    device: str | None,
) -> None:
    """Log what MLflow does not have yet.

    Args:
        run: which run.
        rows: its history so far.
        final: test metrics by name.
        draw: fills a folder with figures of test images, to be kept beside new scores.
        device: name of the device, if the run is being trained by this process.
    """
    client, experiment = store.connect(run.cell.dataset)
    known = find(client, experiment, run.key)
    if known is None or not _is_described(known):
        with store.lock():  # MLflow fails where two describe one run, or name one data set, at once
            known = find(client, experiment, run.key) or _create(client, experiment, run)
            if not _is_described(known):
                _describe(client, known.info.run_id, run)
    run_id = known.info.run_id
    _log_history(client, known, run.key, rows)
    names = {accepted(name): name for name in final}
    new = {name: final[own] for name, own in names.items() if known.data.metrics.get(name) != final[own]}
    batch = [metric(name, value, 0) for name, value in new.items()]
    diverged = any(row.metric == "diverged" for row in rows)
    done = bool(rows) and max(row.epoch for row in rows) >= run.config["train"]["epochs"]
    tags = {"stage": "evaluated" if final else "trained" if done or diverged else "training"}
    if known.data.tags.get("stage") == "evaluated":
        del tags["stage"]
    if renamed := {name: own for name, own in names.items() if name != own}:
        tags["renamed_metrics"] = json.dumps(renamed, ensure_ascii=False)[:TAG_LENGTH]
    if device and run.key in _spent:
        batch += _speed(known, run, rows[-1].step)
        tags["device"] = device
    log(client, known, batch, tags)
    _spent.pop(run.key, None)
    if new and draw:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder))
            for path in sorted(Path(folder).iterdir()):
                client.log_artifact(run_id, str(path))
    status = "FAILED" if diverged else "FINISHED"
    # Ended when training did: a later call, such as evaluate's, leaves the time as it is.
    if (done or diverged or final) and known.info.status != status:
        client.set_terminated(run_id, status)


def _log_history(client: "MlflowClient", known: "MlflowRun", key: str, rows: Sequence[Row]) -> None:
    names = {f"{row.split}_{row.metric}" for row in rows} & known.data.metrics.keys()
    if key not in _logged:  # after a failure too: an answer may have been lost on the way back
        _logged[key] = {(n, m.step) for n in names for m in client.get_metric_history(known.info.run_id, n)}
    new = [row for row in rows if (f"{row.split}_{row.metric}", row.step) not in _logged[key]]
    batch = [metric(f"{row.split}_{row.metric}", row.value, row.step) for row in new]
    for start in range(0, len(batch), 1000):  # MLflow's limit for one call
        client.log_batch(known.info.run_id, metrics=batch[start : start + 1000])
    _logged[key] |= {(f"{row.split}_{row.metric}", row.step) for row in new}


def _speed(known: "MlflowRun", run: Run, step: int) -> list[Any]:
    """Seconds of training up to `step`, and images a second since MLflow last heard of the run; validation included."""
    seconds, steps = _spent.get(run.key, (0.0, 0))
    count = len(tensors.read(paths.split_file(run.cell.dataset, "train")).ids)
    images = steps * min(run.config["train"]["batch_size"], count)
    total = known.data.metrics.get("seconds", 0.0) + seconds
    return [metric("seconds", round(total, 3), step), metric("images_per_second", round(images / seconds, 1), step)]


def log(client: "MlflowClient", known: "MlflowRun", metrics: list[Any], tags: Mapping[str, str]) -> None:
    """Log metrics, and the tags that are new. A metric that the store refuses costs a warning, and no other metric."""
    from mlflow.entities import RunTag
    from mlflow.exceptions import MlflowException

    changed = [RunTag(name, value) for name, value in tags.items() if known.data.tags.get(name) != value]
    run_id = known.info.run_id
    try:
        if metrics or changed:
            client.log_batch(run_id, metrics=metrics, tags=changed)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        client.log_batch(run_id, tags=changed)
        for one in metrics:
            try:
                client.log_batch(run_id, metrics=[one])
            except MlflowException as refusal:
                if refusal.error_code != "INVALID_PARAMETER_VALUE":
                    raise
                reason = str(refusal).splitlines()[0][:200]
                tqdm.write(f"warning: MLflow refuses the metric {one.key!r}: {reason}")


def accepted(name: str) -> str:
    """A name of a metric as MLflow accepts it, a different one for each: a character that it refuses is `_xHHHH_`, its
    code point, and so is the `_` of what reads like that."""
    refused = r"[^/\w.\- :]|_(?=x[0-9A-F]{4})"
    if posixpath.normpath(name) != name:  # MLflow takes a name for a path, and refuses `a//b`, `a/` and `a/../b`
        refused += "|/"
    name = re.sub(refused, lambda character: f"_x{ord(character[0]):04X}_", name)
    if len(name) > NAME_LENGTH:
        return f"{name[: NAME_LENGTH - 17]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name


def find(client: "MlflowClient", experiment: str, key: str) -> "MlflowRun | None":
    """The run with this key, if there is one."""
    runs = client.search_runs([experiment], f"tags.run_key = '{key}'", max_results=1)
    return runs[0] if runs else None


def _create(client: "MlflowClient", experiment: str, run: Run) -> "MlflowRun":
    tags = {
        "run_key": run.key,
        "dataset": run.cell.dataset,
        "network": run.cell.network,
        "loss": run.cell.loss,
        "kind": run.config["loss"]["kind"],
        "seed": str(run.seed),
        "variant": f"{run.cell.network}-{run.cell.loss}-{_digest([run.config, run.data_md5, run.code])}",
        "git_commit": _git_commit(),
        "data_md5": run.data_md5,
        "code_fingerprint": run.code,
        "libraries": ", ".join(f"{name} {words}" for name, words in run.libraries.items()) or "none",
    }
    start = int(1000 * (time.time() - _spent.get(run.key, (0.0, 0))[0]))
    return client.create_run(experiment, start, tags, run_name=f"{run.cell.network}-{run.cell.loss}-seed{run.seed}")


def _is_described(known: "MlflowRun") -> bool:
    return known.inputs is not None and bool(known.inputs.dataset_inputs)


def _describe(client: "MlflowClient", run_id: str, run: Run) -> None:
    """All options as params, and the training data."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in _flat(run.config)])
    path = paths.split_file(run.cell.dataset, "train")
    dataset = Dataset(run.cell.dataset, digest=run.data_md5, source_type="local", source=str(path))
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])


def metric(name: str, value: float, step: int) -> Any:
    """A value of now, as MLflow takes it."""
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
