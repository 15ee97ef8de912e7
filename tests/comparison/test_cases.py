"""The scores of every image, as other tools read them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scored_losses import LOSSES, SEEDS, planned, simulated, write

from losslab.comparison import cases, loss_results
from losslab.evaluation.formulas import dice

pytestmark = pytest.mark.usefixtures("scored")


def test_a_row_a_case_and_a_column_a_loss() -> None:
    runs = simulated("dice")
    for counts in runs.values():
        counts[0] = [0, 0, 0, 4096]  # nothing in truth, nothing predicted
    write("dice", runs)
    cases.write(loss_results.load(planned(), "shapes", "unet"), Path("cases"))
    with Path("cases/shapes/unet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["case_id", *LOSSES]
    assert [row["case_id"] for row in rows] == [f"i{n}" for n in range(30)]
    assert rows[0]["dice"] == ""
    tp, fp, fn, _ = np.moveaxis(np.stack([runs[seed] for seed in SEEDS]).astype(float), -1, 0)
    assert float(rows[7]["dice"]) == pytest.approx(dice(tp, fp, fn)[:, 7].mean(), abs=1e-6)


def test_losses_without_a_model_have_no_column() -> None:
    write("bce", {})
    cases.write(loss_results.load(planned(), "shapes", "unet"), Path("cases"))
    assert Path("cases/shapes/unet.csv").read_text(encoding="utf-8").startswith("case_id,dice,mse_dice\n")
