"""What can be wrong with scores, and what is then said."""

import numpy as np
import pytest
from scored_losses import LOSSES, SEEDS, cell, compare, decided, planned, rows_of, simulated, write

from losslab.errors import InputError
from losslab.results import paths
from losslab.results.files import write_json

pytestmark = pytest.mark.usefixtures("scored")


def test_a_loss_that_diverged_in_all_seeds_leaves_the_rest_standing() -> None:
    write("dice", {})
    rows, analysed = compare()
    assert rows["dice"].verdict == "diverged"
    assert rows["dice"].status == "diverged: 3 of 3 seeds, first at step 7"
    assert rows["mse_dice"].mean is not None
    assert decided().leader == "mse_dice"
    assert "dice" not in decided().chances
    assert {row["mean"] for row in rows_of(analysed["classes"] + analysed["sizes"], "dice")} == {None}
    assert analysed["remarks"] == ["dice: diverged: 3 of 3 seeds, first at step 7"]


def test_one_seed_left_is_said() -> None:
    write("dice", simulated("dice", (1,)))
    rows, analysed = compare()
    assert rows["dice"].status.endswith("one seed left: its interval covers test images only")
    assert analysed["remarks"] == [f"dice: {rows['dice'].status}"]


def test_one_seed_and_one_loss_are_said() -> None:
    for loss in LOSSES:
        write(loss, simulated(loss, (0,)))
    rows, analysed = compare(planned(seeds=(0,)))
    assert rows["dice"].verdict == "undecided"
    assert rows["dice"].low is not None
    assert analysed["remarks"] == [
        "one seed: intervals cover test images only, and nothing can be decided; add train.seeds"
    ]
    write("bce", simulated("bce"))
    rows, analysed = compare(planned(losses=("bce",)))
    assert rows["bce"].verdict == "the only one"
    assert analysed["remarks"] == ["one loss: there is nothing to compare it with; add to grid.losses"]


def test_a_class_that_the_test_set_lacks_is_left_out_and_said() -> None:
    tables = {loss: simulated(loss) for loss in LOSSES}
    for loss, by_seed in tables.items():
        for table in by_seed.values():
            table[:, 1] = [0, 5, 0, 4091]  # no star anywhere, yet some are predicted
        write(loss, by_seed)
    rows, analysed = compare()
    assert analysed["remarks"] == ["star: no pixel in the test set; the class is left out of every mean"]
    disk, star = rows_of(analysed["classes"], "dice")
    assert star == {"loss": "dice", "class": "star", "mean": None, "low": None, "high": None}
    assert rows["dice"].mean == pytest.approx(disk["mean"])


def test_a_test_set_without_any_object_has_no_value() -> None:
    for loss in LOSSES:
        write(loss, {seed: np.full((4, 2, 4), [0, 0, 0, 4096]) for seed in SEEDS})
    rows, analysed = compare()
    assert {row.verdict for row in rows.values()} == {"no value"}
    assert rows["dice"].mean is None
    assert len(analysed["remarks"]) == 2, "one for each class"
    assert {row["objects"] for row in analysed["sizes"]} == {0}


def test_an_empty_test_set_is_said() -> None:
    for loss in LOSSES:
        write(loss, {seed: np.zeros((0, 2, 4), np.int64) for seed in SEEDS}, [])
    rows, analysed = compare()
    assert {row.verdict for row in rows.values()} == {"no value"}
    assert analysed["remarks"][0] == "bce: no scores: is the test set empty? run `dvc repro`"


def test_scores_of_other_images_are_not_compared() -> None:
    write("dice", simulated("dice", images=20))
    rows, _ = compare()
    assert rows["dice"].status == "scored on other images than the rest, so not compared: run `dvc repro`"
    assert rows["dice"].verdict == "not compared"
    assert rows["dice"].mean is not None
    assert rows["dice"].delta is None
    assert rows["mse_dice"].delta is not None
    assert set(decided().contenders) <= {"bce", "mse_dice"}


def test_results_of_before_there_were_boundaries_are_one_line() -> None:
    path = paths.boundaries_file(cell("dice"))
    path.unlink()
    with pytest.raises(InputError, match=rf"^{path}: not found; run `dvc repro`$"):
        compare()
    write("dice", simulated("dice"))
    path.write_bytes(paths.boundaries_file(cell("bce")).read_bytes().replace(b"i29", b"i30"))
    with pytest.raises(InputError, match="not of the seeds and images of the scores"):
        compare()
    paths.scores_file(cell("dice")).write_text("seed,image\n")
    columns = "seed, image, class, threshold, tp, fp, fn, tn"
    with pytest.raises(InputError, match=rf"scores\.csv: not a table of {columns}; remove it and run `dvc repro`"):
        compare()


def test_a_class_that_only_the_test_set_has_is_said_and_not_to_be_trained_for_longer() -> None:
    for loss in LOSSES:
        runs = simulated(loss)
        for counts in runs.values():  # every pixel of a star is missed
            counts[:, 1, 2] += counts[:, 1, 0]
            counts[:, 1, 0] = 0
        write(loss, runs)
    rows, _ = compare()
    assert {row.convergence for row in rows.values()} == {"star was not learned in 3 of 3 runs"}
    write_json(paths.TENSORS / "shapes" / "extract.json", {"absent_classes": {"train": ["star"]}})
    rows, analysed = compare()
    assert analysed["remarks"] == ["star: in no training image, so that no loss can learn it"]
    assert {row.convergence for row in rows.values()} == {"ok"}
