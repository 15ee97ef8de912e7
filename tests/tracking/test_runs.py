"""One run in MLflow."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.validation import _validate_metric_name
from projects import Project
from tracked import DICE, first_run, logged_runs, planned, points

from losslab.results import history, paths, scores
from losslab.settings.plans import Cell
from losslab.tracking import runs, store, sync


def test_a_run_lasts_as_long_as_its_training(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    for clock in ("time", "monotonic"):
        monkeypatch.setattr(time, clock, lambda: now)
    monkeypatch.setattr(runs, "_last_epoch", now)
    run = first_run()
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    for epoch in (1, 2):
        now += 60
        sync.epoch(run, [row for row in rows if row.epoch <= epoch], "cpu")
    now += 3600  # waiting for evaluate
    assert sync.cell(planned())
    logged = logged_runs()["unet-dice-seed0"]
    assert logged.info.end_time - logged.info.start_time == pytest.approx(120_000, abs=1)
    assert logged.data.metrics["seconds"] == 120
    assert points(logged, "images_per_second") == [(3, 0.2), (6, 0.2)], "12 images in 60 seconds"
    assert (logged.info.status, logged.data.tags["device"]) == ("FINISHED", "cpu")


def test_a_clock_that_jumps_changes_no_time_of_training(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, wall = 1_000.0, 1_700_000_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: wall)
    monkeypatch.setattr(runs, "_last_epoch", now)
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    for epoch, jump in ((1, -86_400), (2, 2 * 86_400)):
        now, wall = now + 60, wall + 60 + jump
        sync.epoch(first_run(), [row for row in rows if row.epoch <= epoch], "cpu")
    assert "warning" not in capsys.readouterr().out
    logged = logged_runs()["unet-dice-seed0"]
    assert points(logged, "seconds") == [(3, 60.0), (6, 120.0)]
    assert points(logged, "images_per_second") == [(3, 0.2), (6, 0.2)]


def test_two_trainings_of_one_data_set_describe_their_runs_one_after_the_other(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow fails where two add the same data set at once."""
    describe, both_describe, met = runs._describe, threading.Barrier(2), []

    def slowly(*arguments: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            met.append(both_describe.wait(0.5))  # for the other, if it has got here too
        describe(*arguments)

    monkeypatch.setattr(runs, "_describe", slowly)
    store.connect("shapes")
    trainings = [first_run(), first_run(Cell("shapes", "unet", "bce"))]
    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(runs.write, run, [], {}, None, None) for run in trainings]:
            one.result()
    assert met == []
    assert all(run.inputs.dataset_inputs for run in logged_runs().values())
    assert len(logged_runs()) == 2


CLASSES = ["R&B", "'", "( <", "a//b", "plain"]
"""As many as the project has."""


def test_scores_of_classes_whose_names_mlflow_refuses_arrive_under_others(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = scores.read
    monkeypatch.setattr(scores, "read", lambda path: replace(read(path), classes=CLASSES))
    for _ in range(2):
        assert sync.cell(planned())
    assert "warning" not in capsys.readouterr().out
    logged = logged_runs()["unet-dice-seed0"]
    renamed = json.loads(logged.data.tags["renamed_metrics"])
    assert set(renamed.values()) == {f"test_iou_tuned_{name}" for name in CLASSES[:-1]}
    assert renamed["test_iou_tuned_R_x0026_B"] == "test_iou_tuned_R&B"
    assert renamed.keys() | {"test_iou_tuned_plain", "test_miou_tuned", "threshold"} <= logged.data.metrics.keys()


@given(st.text(st.sampled_from("_x0026&/.a é:"), max_size=20))
@example("_x0026&")
@example("a/../b")
@example("_x0026_x0026_")
def test_a_name_that_mlflow_accepts_leads_back_to_one_name(name: str) -> None:
    given_name = f"test_iou_tuned_{name}"
    renamed = runs.accepted(given_name)
    _validate_metric_name(renamed)
    assert re.sub(r"_x([0-9A-F]{4,6})_", lambda code: chr(int(code[1], 16)), renamed) == given_name
    assert runs.accepted("test_iou_tuned_cat/tabby: 1.5-é") == "test_iou_tuned_cat/tabby: 1.5-é"


def test_long_names_stay_apart() -> None:
    one, two = (runs.accepted(f"test_iou_tuned_{'long' * 100}{end}") for end in "ab")
    assert one != two
    assert len(one) == len(two) == 250


def test_a_metric_that_the_store_refuses_stops_no_other(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log_batch = MlflowClient.log_batch

    def refuse(self: MlflowClient, run_id: str, metrics: Any = (), **others: Any) -> Any:
        if any(metric.key == "test_dice_fixed" for metric in metrics):
            raise MlflowException("no such name", INVALID_PARAMETER_VALUE)
        return log_batch(self, run_id, metrics=metrics, **others)

    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    assert sync.cell(planned())
    assert "warning: MLflow refuses the metric 'test_dice_fixed': no such name" in capsys.readouterr().out
    for name in ("unet-dice-seed0", "unet-dice-seed1"):
        logged = logged_runs()[name]
        assert "test_dice_fixed" not in logged.data.metrics
        assert {"test_miou_tuned", "test_dice_tuned", "threshold"} <= logged.data.metrics.keys()
        assert logged.data.tags["stage"] == "evaluated"
