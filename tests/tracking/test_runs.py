"""One run in MLflow."""

import time

import pytest
from projects import Project
from tracked import DICE, first_run, logged_runs, planned, points

from losslab.results import history, paths
from losslab.tracking import runs, sync


def test_a_run_lasts_as_long_as_its_training(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
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
