"""What should have been trained for longer is named: classes not learned, validation that still rose."""

from typing import Any

import numpy as np
import pytest
from scored_losses import LOSSES, compare, simulated, write

from losslab.comparison import convergence
from losslab.results.history import Row


def rows(*curves: list[float]) -> list[Row]:
    return [
        Row(seed, epoch, 10 * epoch, "val", "miou_tuned", value)
        for seed, curve in enumerate(curves)
        for epoch, value in enumerate(curve, start=1)
    ]


def remarks(class_iou: dict[str, Any]) -> dict[str, list[str]]:
    failed = convergence.failures({loss: np.array(values) for loss, values in class_iou.items()})
    return {loss: convergence.unlearned(runs, ("disk", "star")) for loss, runs in failed.items()}


def test_a_class_that_some_runs_did_not_learn_is_named_with_their_number() -> None:
    star = {"bce": [[0.9, 0.25], [0.9, 0.36], [0.8, 0.9]], "dice": [[0.9, 0.95], [0.88, 0.96], [0.9, 0.93]]}
    assert remarks(star) == {"bce": ["star was not learned in 2 of 3 runs"], "dice": []}


def test_a_class_that_no_run_learned_is_named_for_all_and_an_absent_class_for_none() -> None:
    values = {"bce": [[0.01, np.nan]], "dice": [[0.02, np.nan]]}
    assert remarks(values) == {loss: ["disk was not learned in 1 of 1 runs"] for loss in ("bce", "dice")}


def test_losses_without_a_run_are_passed_over() -> None:
    assert remarks({"bce": np.empty((0, 2))}) == {"bce": []}


@pytest.mark.parametrize(
    ("curves", "rise"),
    [
        (([0.1, 0.5, 0.9],), 0.4),  # the last tenth is one epoch at least
        (([0.1] * 18 + [0.2, 0.3],), 0.2),  # of twenty epochs the last two
        (([0.5, 0.52], [0.5, 0.56]), 0.04),  # mean over seeds
        (([0.5],), 0.0),
        ((), 0.0),
    ],
)
def test_the_rise_is_that_of_the_last_tenth(curves: tuple[list[float], ...], rise: float) -> None:
    assert convergence.rising(rows(*curves)) == pytest.approx(rise)


def test_validation_that_still_rose_is_said_and_one_that_was_flat_is_not() -> None:
    assert convergence.still_rising(rows([0.5, 0.9, 0.905])) == []
    assert convergence.still_rising(rows([0.5, 0.8, 0.823])) == [
        "validation mIoU still rose by 2.3 points when training ended"
    ]


def test_time_to_quality_is_counted_in_epochs_to_the_best_of_any_loss() -> None:
    fast, slow = rows([0.5, 0.89, 0.9], [0.6, 0.92, 1.0]), rows([0.1, 0.2, 0.86], [0.1, 0.2, 0.85])
    table = convergence.time_to_quality({"fast": fast, "slow": slow, "none": []})
    cells = {(row["loss"], row["percent"]): (row["epochs"], row["reached"], row["runs"]) for row in table}
    assert cells["fast", 90] == (2, 2, 2), "the best mean over seeds is 0.95, so 0.855 is wanted"
    assert cells["slow", 90] == (3, 1, 2)
    assert cells["fast", 99] == (3, 1, 2)
    assert cells["slow", 99] == (None, 0, 2)
    assert cells["none", 90] == (None, 0, 0)


@pytest.mark.usefixtures("scored")
def test_terminal_and_leaderboard_name_a_class_that_was_not_learned() -> None:
    worst = LOSSES[0]
    runs = simulated(worst)
    for counts in runs.values():  # [N, C, 4]; every true positive of the first class becomes a miss
        counts[:, 0, 2] += counts[:, 0, 0]
        counts[:, 0, 0] = 0
    write(worst, runs)
    for loss in LOSSES[1:]:
        write(loss, simulated(loss))
    standings, analysed = compare()
    assert "disk was not learned in 3 of 3 runs" in standings[worst].convergence
    (line,) = (line for line in analysed["remarks"] if line.startswith(f"{worst}: "))
    assert line.endswith("runs; train longer before you believe this")
