"""When MLflow is told: as training goes on, when there are scores, and of which results it is not told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from projects import Project
from tracked import DICE, first_run, logged_runs, plan_again, planned

from losslab.results import history, paths, scores
from losslab.settings import params
from losslab.tracking import runs, store, sync


def test_results_of_other_params_are_not_logged(ready: Project, capsys: pytest.CaptureFixture[str]) -> None:
    ready.set(lambda p: p["losses"]["dice"].update(smooth=0.5))
    plan_again()
    assert sync.everything(params.load())
    assert "shapes unet dice: the results are of other params" in capsys.readouterr().out
    assert not [name for name in logged_runs() if "-dice-" in name]


def test_a_killed_run_that_is_not_taken_up_again_is_ended(ready: Project) -> None:
    run = first_run()
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    sync.epoch(run, [row for row in rows if row.epoch == 1], "cpu")
    assert logged_runs()["unet-dice-seed0"].info.status == "RUNNING"
    ready.set(lambda p: p["losses"]["dice"].update(smooth=0.5))
    plan_again()
    assert sync.everything(params.load())
    assert logged_runs()["unet-dice-seed0"].info.status == "KILLED"


def test_two_that_tell_of_one_run_do_so_one_after_the_other(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two `losslab track` at once do; MLflow fails where both add one metric."""
    write, both_write, met = runs.write, threading.Barrier(2), []

    def slowly(*arguments: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            met.append(both_write.wait(0.5))  # for the other, if it has got here too
        write(*arguments)

    monkeypatch.setattr(runs, "write", slowly)
    monkeypatch.setattr(sync, "_attempt", lambda work, seconds: work() is None)  # each process has its own attempts
    store.connect("shapes")
    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(sync._write, first_run(), [], final={"test_miou_tuned": 0.5}) for _ in range(2)]
    assert [one.result() for one in told] == [True, True]
    assert met == []
    assert {name: run.data.metrics for name, run in logged_runs().items()} == {
        "unet-dice-seed0": {"test_miou_tuned": 0.5}
    }


def test_what_else_was_measured_is_logged(ready: Project) -> None:
    table = scores.read(paths.scores_file(DICE))
    counted = np.zeros((len(table.images), len(table.classes), 4))
    counted[..., 2:] = [4, 3]
    values = {seed: dict.fromkeys(scores.THRESHOLDS, counted) for seed in table.seeds}
    path = paths.extra_file(DICE, "components")
    scores.write_table(path, scores.EXTRAS["components"], table.images, table.classes, values)
    assert sync.cell(planned())
    logged = logged_runs()["unet-dice-seed0"].data.metrics
    assert logged["test_component_recall_tuned"] == logged["test_component_recall_fixed"] == 0.75
    assert "test_ece_tuned" not in logged
