"""When MLflow is told: as training goes on, when there are scores, and of which results it is not told."""

import pytest
from projects import Project
from tracked import DICE, first_run, logged_runs, plan_again

from losslab.results import history, paths
from losslab.settings import params
from losslab.tracking import sync


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
