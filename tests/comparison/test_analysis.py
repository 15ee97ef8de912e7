"""What the scores say beside the leaderboard."""

from typing import Any

import numpy as np
import pytest
from scored_losses import CLASSES, LOSSES, compare, planned, rows_of, simulated

from losslab.comparison import analysis

pytestmark = pytest.mark.usefixtures("scored")


def test_the_analysis_answers_by_class_size_and_threshold() -> None:
    rows, analysed = compare()
    assert [row["class"] for row in rows_of(analysed["classes"], "dice")] == list(CLASSES)
    per_class = [row["mean"] for row in rows_of(analysed["classes"], "dice")]
    assert np.mean(per_class) == pytest.approx(rows["dice"].mean, abs=1e-6), "mIoU is the mean over classes"
    gain = rows_of(analysed["threshold_gain"], "dice")[0]
    assert gain["mean"] > 0.1
    assert gain["low"] < gain["mean"] < gain["high"]
    assert analysed["remarks"] == []
    sizes = rows_of(analysed["sizes"], "dice")
    assert [row["size"] for row in sizes] == ["small", "medium", "large"]
    assert sum(row["objects"] for row in sizes) == 30 * 2
    assert all(18 <= row["objects"] <= 22 for row in sizes), "a third each"
    assert sizes[0]["largest_area"] < sizes[1]["smallest_area"] <= sizes[1]["largest_area"] < sizes[2]["smallest_area"]
    counts = np.stack(list(simulated("dice").values())).astype(float)
    area = counts[0, ..., 0] + counts[0, ..., 2]
    small = area <= sizes[0]["largest_area"]
    iou = counts[..., 0] / counts[..., :3].sum(-1)
    assert sizes[0]["mean"] == pytest.approx(iou[:, small].mean(), abs=1e-6)


def test_terciles_keep_equal_areas_together() -> None:
    small, medium, large = analysis.size_groups(np.array([[0, 5, 5, 5, 9, 9, 20]]))
    assert [int(group.sum()) for group in (small, medium, large)] == [3, 2, 1]
    assert not (small | medium | large)[0, 0], "no pixel, no object"
    alike = analysis.size_groups(np.full((3, 1), 7))
    assert [int(group.sum()) for group in alike] == [3, 0, 0]


def test_sums_of_the_same_terms_are_families() -> None:
    def mix(**weights: list[float]) -> list[dict[str, Any]]:
        plan = planned()
        for name, (mse, dice) in weights.items():
            plan.losses[name] = {
                "kind": "sum",
                "terms": [{"weight": mse, "loss": {"kind": "mse"}}, {"weight": dice, "loss": {"kind": "dice"}}],
            }
        grid = plan.grid.model_copy(update={"losses": (*LOSSES, *weights)})
        return analysis.families(plan.model_copy(update={"grid": grid}))

    assert mix() == [], "one sum alone is no family"
    assert mix(most=[0.8, 0.2], half=[0.5, 0.5]) == [
        {
            "name": "mse + dice",
            "x_label": "weight of mse",
            "members": [{"x": 0.5, "loss": "half"}, {"x": 0.8, "loss": "most"}],
        }
    ], "mse_dice has other options of Dice, so it is none of them"
    (scales,) = mix(b=[1, 300], a=[1, 200], c=[1, 400])
    assert scales["x_label"] == "weight of dice"
    assert [member["x"] for member in scales["members"]] == [200, 300, 400]
    assert mix(a=[1, 2], b=[3, 4]) == [], "which of the two weights matters cannot be said"
