"""When MLflow is told, and how much: as training goes on, when there are scores, and when there is a report.

Everything here logs only what is new, so it can be called at any time and any number of times. A run is found by its
tag `run_key`. A store that cannot be reached costs a warning and a later sync, never a result. `LOSSLAB_MLFLOW=off`
leaves MLflow alone.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import safe_open
from tqdm import tqdm

from losslab.data import tensors
from losslab.evaluation import metrics
from losslab.evaluation.aggregates import Draws, class_iou, unweighted
from losslab.results import boundary_scores, history, paths, predictions, scores, standings
from losslab.results import runs as results_runs
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.settings.params import Params
from losslab.settings.plans import Cell, TrainPlan, cells
from losslab.tracking import champion, runs, store, summary

SAMPLE_IMAGES = 4

PATIENCE = 300.0
"""Seconds until a store that failed is tried again: a training does not wait for it at every epoch."""

SECONDS_FOR_RUN, SECONDS_FOR_ALL = 120.0, 900.0
"""Seconds until a store that answers without end is given up on: as one run is written, and what all of them say."""
PARTS = 120
"""Parts that these are waited for in."""

FILES = "mlflow.db.files"
"""The lock of those that tell MLflow what files say: no two write one run at once, or MLflow fails."""

_retry_at = 0.0
_attempted: threading.Thread | None = None
"""The latest attempt, which goes on after it was given up on, as long as the store keeps it busy."""


def epoch(run: Run, rows: Sequence[Row], device: str) -> None:
    """Tell of an epoch that this process has just trained on `device`; `rows` is the run's history so far."""
    runs.begin_epoch(run, rows)
    _write(run, rows, device=device)
    runs.end_epoch()


def cell(plan: TrainPlan) -> bool:
    """Bring every seed of a cell up to what train and evaluate left, as far as that is there; whether it is.

    Raises:
        InputError: a file is damaged.
    """
    return _sync_files(plan.cell, results_runs.of(plan))


def everything(params: Params) -> bool:
    """Bring MLflow up to what all files say; whether it is.

    Raises:
        InputError: a file is damaged.
    """
    if is_off():
        return True
    done = True
    for dataset in params.grid.datasets:
        plans = [TrainPlan.read(*one.names) for one in cells(params.grid) if one.dataset == dataset]
        its_runs = {plan.cell: results_runs.of(plan) for plan in plans}
        for one, of_cell in its_runs.items():
            done &= _sync_files(one, of_cell)
        if paths.LEADERBOARD.is_file():
            rows = [row for row in standings.read(paths.LEADERBOARD) if row.dataset == dataset]
            verdicts = [one for one in standings.read_verdicts(paths.VERDICTS) if one.dataset == dataset]
            done &= _attempt(_alone(partial(summary.write, dataset, its_runs, rows, verdicts)), SECONDS_FOR_ALL)
    return done


def is_off() -> bool:
    """Whether the user wants MLflow to be left alone."""
    return os.environ.get("LOSSLAB_MLFLOW") == "off"


def _write(
    run: Run,
    rows: Sequence[Row],
    *,
    final: Mapping[str, float] | None = None,
    draw: Callable[[Path], None] | None = None,
    device: str | None = None,
) -> bool:
    own = [row for row in rows if row.seed == run.seed]
    work = partial(runs.write, run, own, final or {}, draw, device)
    done = _attempt(work if device else _alone(work), SECONDS_FOR_RUN)
    if not done:
        runs.forget(run)  # what arrived is not known
    return done


def _sync_files(cell: Cell, its_runs: Sequence[Run]) -> bool:
    history_file, scores_file = paths.history_file(cell), paths.scores_file(cell)
    if not history_file.is_file():
        return True
    rows = history.read(history_file)
    table = scores.read(scores_file) if scores_file.is_file() else None
    edges = boundary_scores.read(paths.boundaries_file(cell)) if table else None
    extras = scores.read_extras(scores_file.parent, table) if table else {}
    done = True
    for run in its_runs:
        metadata = _metadata(paths.model_file(cell, run.seed))
        if metadata and {key: metadata.get(key) for key in run.config} != json.loads(json.dumps(run.config)):
            tqdm.write(f"{cell}: the results are of other params; `dvc repro` brings them up to date")
            return True
        if table is None or edges is None or run.seed not in table.seeds:
            done &= _write(run, rows)
            continue
        which = [table.seeds.index(run.seed)]
        values: dict[str, float] = {}
        for threshold, counts in table.counts.items():
            of_run = counts[which], edges.values[threshold][which]
            more = {metric: of_rule[threshold][which] for metric, of_rule in extras.items()}
            draws = Draws(*of_run, unweighted, table.classes, threshold == scores.ARGMAX, more)
            values |= {f"test_{metric}_{threshold}": value.item() for metric, value in metrics.compute(draws).items()}
        rule = standings.ranking_rule(list(table.counts))
        by_class = class_iou(table.counts[rule][which])[0]
        values |= {
            f"test_iou_{rule}_{name}": value for name, value in zip(table.classes, by_class.tolist(), strict=True)
        }
        final = {name: round(value, 6) for name, value in values.items() if value == value}  # no NaN
        if metadata and rule == "tuned":
            final["threshold"] = metadata["threshold"]
        done &= _write(run, rows, final=final, draw=partial(_draw, cell, run.seed))
    return done


def _alone(work: Callable[[], None]) -> Callable[[], None]:
    """That work, while no other process tells MLflow what files say."""

    def locked() -> None:
        with store.lock(FILES, turns=10):  # of those that register a champion
            work()

    return locked


def _attempt(work: Callable[[], None], seconds: float) -> bool:
    """Do it unless MLflow is off or failed a short time ago; whatever goes wrong is a warning."""
    global _retry_at
    if is_off():
        return True
    if time.monotonic() < _retry_at or (_attempted is not None and _attempted.is_alive()):
        return False
    try:
        _within(seconds, work)
        return True
    except champion.NotExportable as error:
        tqdm.write(f"warning: MLflow has no champion: its network cannot be exported ({error})")
        return True
    except Exception as error:  # whatever a tracking server does, training goes on
        _retry_at = time.monotonic() + PATIENCE
        store.disconnect()
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = "" if isinstance(error, store.Unavailable) else f"{store.address()}: "
        tqdm.write(f"warning: MLflow is not up to date ({where}{reason[:200]}); run `make track` once that is mended")
        return False


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Do it in a thread, and leave that alone after `seconds`: no timeout of a connection ends a server that drips
    bytes. The thread does not outlive the process.

    Raises:
        TimeoutError: it is not done.
        Exception: whatever `work` raises.
    """
    global _attempted
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            work()
        except Exception as error:
            errors.append(error)

    _attempted = threading.Thread(target=attempt, daemon=True)
    _attempted.start()
    # In parts: of the time that this process was stopped, by Ctrl-Z say, the deadline loses one.
    for _ in range(PARTS):
        if _attempted.is_alive():
            _attempted.join(seconds / PARTS)
    if _attempted.is_alive():
        raise TimeoutError(f"no whole answer in {seconds:g} seconds")
    if errors:
        raise errors[0]


def _draw(cell: Cell, seed: int, folder: Path) -> None:
    """Into a folder: a sample of predictions and, where classes exclude each other, which was taken for which."""
    from losslab.report.figures import images, results, style

    split = tensors.read(paths.split_file(cell.dataset, "test"))
    masks = predictions.read(paths.predictions_file(cell, seed), split.images.shape[-1])
    chosen = tensors.spread(split, SAMPLE_IMAGES)
    shown = [c for c, name in enumerate(split.classes) if name != tensors.BACKGROUND]
    images.prediction_grid(
        folder / "sample.png",
        split.images[chosen],
        split.masks_of(chosen)[:, shown],
        {f"{cell.loss} seed {seed}": masks[chosen][:, shown]},
        [split.ids[index] for index in chosen],
    )
    if split.exclusive:
        classes, tables = scores.read_confusion(paths.confusion_file(cell))
        scores.write_confusion(folder / "confusion.csv", classes, {seed: tables[seed]})
        style.save(results.confusion_matrix(tables[seed], classes), folder / "confusion.png")


def _metadata(path: Path) -> dict[str, Any]:
    """What a model file says of itself; nothing if there is no such file."""
    if not path.is_file():
        return {}
    with safe_open(path, "np") as file:
        metadata: dict[str, Any] = json.loads(file.metadata()["losslab"])
        return metadata
