"""From score files to leaderboard.json and analysis.json, with what can be wrong in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from projects import ROOT
from simulated_runs import Simulation

from losslab.comparison import analysis, leaderboard, loss_results
from losslab.errors import InputError
from losslab.results import boundary_scores, history, runs, scores, standings
from losslab.results.scores import Counts
from losslab.settings.params import Params

LOSSES = ("bce", "dice", "mse_dice")
SEEDS = (0, 1, 2)
CLASSES = ("disk", "star")
Change = Callable[[dict[str, Any]], Any]


def settings(losses: tuple[str, ...] = LOSSES, seeds: tuple[int, ...] = SEEDS) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["grid"]["losses"] = list(losses)
    raw["train"]["seeds"] = list(seeds)
    raw["compare"] |= {"baseline": losses[0], "resamples": 200}
    return Params.model_validate(raw)


def write(loss: str, tables: dict[int, Counts], images: list[str] | None = None) -> None:
    """Score, boundary and history files as `evaluate` and `train` leave them; a loss's seeds that are missing diverged.

    `tables` holds the counts `[N, C, 4]` of each seed; the fixed threshold misses half of what the tuned one finds.
    """
    images = images or [f"i{n}" for n in range(len(next(iter(tables.values()), ())))]
    counts, edges = {}, {}
    for seed, tuned in tables.items():
        half = tuned[..., 0] // 2
        fixed = tuned + np.stack([-half, 0 * half, half, 0 * half], axis=-1)
        counts[seed] = {"fixed": fixed, "tuned": tuned}
        tp, fp, fn, _ = np.moveaxis(tuned, -1, 0)
        distance = np.where(tp + fp + fn > 0, 1.5, np.nan)
        edge = np.stack([tp + fp, tp, tp + fn, tp, distance], axis=-1).astype(np.float64)
        edges[seed] = dict.fromkeys(scores.THRESHOLDS, edge)
    scores.write(runs.scores_file("shapes", loss), images, CLASSES, counts)
    boundary_scores.write(runs.boundaries_file("shapes", loss), images, CLASSES, edges)
    rows = [history.Row(seed, 1, 7, "train", "diverged", 1.0) for seed in SEEDS if seed not in tables]
    history.write(runs.history_file("shapes", loss), rows)


def simulated(loss: str, seeds: tuple[int, ...] = SEEDS, images: int = 30) -> dict[int, Counts]:
    """Counts `[N, 2, 4]` per seed: `dice` is 10 points better than `bce`, `mse_dice` 5."""
    case = Simulation(seeds=len(SEEDS), images=images, effects=(0.0, 0.10, 0.05), skill=0.6, own_seed=0.002)
    per_class = [case.counts(np.random.default_rng(k))[LOSSES.index(loss)] for k in range(2)]
    return {seed: np.concatenate(per_class, axis=-2)[SEEDS.index(seed)] for seed in seeds}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three losses, scored."""
    monkeypatch.chdir(tmp_path)
    for loss in LOSSES:
        write(loss, simulated(loss))


def compare(params: Params | None = None) -> tuple[dict[str, leaderboard.Row], dict[str, Any]]:
    """What the stage does: rows of the tuned mIoU by loss, and the analysis as it is read back."""
    params = params or settings()
    found = loss_results.load(params, "shapes")
    rows = leaderboard.compute(found, params.compare)
    analysis.write(Path("analysis.json"), {"shapes": analysis.analyse(found, params.compare.confidence)})
    leaderboard.write(rows, params, Path("board"))
    assert standings.read(Path("board/leaderboard.json"))[0].dataset == "shapes"
    text = Path("analysis.json").read_text() + Path("board/leaderboard.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    chosen = {row.loss: row for row in rows if (row.metric, row.threshold) == ("miou", "tuned")}
    return chosen, json.loads(Path("analysis.json").read_text())["shapes"]


def rows_of(table: list[dict[str, Any]], loss: str) -> list[dict[str, Any]]:
    return [row for row in table if row["loss"] == loss]


def test_the_leaderboard_has_every_metric_at_both_thresholds() -> None:
    compare()
    board = json.loads(Path("board/leaderboard.json").read_text())
    assert {row["metric"] for row in board} == {
        "miou", "dice", "image_dice", "pixel_accuracy", "precision", "recall", "boundary_f", "hd95",
    }  # fmt: skip
    assert len(board) == 8 * 2 * 3
    assert all(row["low"] <= row["mean"] <= row["high"] for row in board)
    assert {row["mean"] for row in board if row["metric"] == "hd95"} == {1.5}
    gap = next(row for row in board if (row["loss"], row["metric"], row["threshold"]) == ("dice", "miou", "tuned"))
    assert gap["delta_low"] > 0.05
    assert gap["verdict"] == "n too small", "three seeds can call nothing"


def test_the_analysis_answers_by_class_size_and_threshold() -> None:
    rows, found = compare()
    assert found["best_probability"]["dice"] > 0.95
    assert sum(found["best_probability"].values()) == pytest.approx(1, abs=1e-3)
    assert [row["class"] for row in rows_of(found["classes"], "dice")] == list(CLASSES)
    per_class = [row["mean"] for row in rows_of(found["classes"], "dice")]
    assert np.mean(per_class) == pytest.approx(rows["dice"].mean, abs=1e-6), "mIoU is the mean over classes"
    gain = rows_of(found["threshold_gain"], "dice")[0]
    assert gain["mean"] > 0.1
    assert gain["low"] < gain["mean"] < gain["high"]
    assert found["remarks"] == []
    sizes = rows_of(found["sizes"], "dice")
    assert [row["size"] for row in sizes] == ["small", "medium", "large"]
    assert sum(row["objects"] for row in sizes) == 30 * 2
    assert all(18 <= row["objects"] <= 22 for row in sizes), "a third each"
    assert sizes[0]["largest_area"] < sizes[1]["smallest_area"] <= sizes[1]["largest_area"] < sizes[2]["smallest_area"]
    counts = np.stack(list(simulated("dice").values())).astype(float)
    area = counts[0, ..., 0] + counts[0, ..., 2]
    small = area <= sizes[0]["largest_area"]
    iou = counts[..., 0] / counts[..., :3].sum(-1)
    assert sizes[0]["mean"] == pytest.approx(iou[:, small].mean(), abs=1e-6)


def test_the_same_files_give_the_same_bytes() -> None:
    compare()
    first = [path.read_bytes() for path in (Path("analysis.json"), *sorted(Path("board").iterdir()))]
    compare()
    assert [path.read_bytes() for path in (Path("analysis.json"), *sorted(Path("board").iterdir()))] == first


def test_a_loss_that_diverged_in_all_seeds_leaves_the_rest_standing() -> None:
    write("dice", {})
    rows, found = compare()
    assert rows["dice"].verdict == "diverged"
    assert rows["dice"].status == "diverged: 3 of 3 seeds, first at step 7"
    assert rows["mse_dice"].mean is not None
    assert found["best_probability"]["dice"] is None
    assert found["best_probability"]["mse_dice"] > 0.9
    assert {row["mean"] for row in rows_of(found["classes"] + found["sizes"], "dice")} == {None}
    assert found["remarks"] == ["dice: diverged: 3 of 3 seeds, first at step 7"]


def test_seeds_that_diverged_pair_by_what_is_common() -> None:
    write("dice", simulated("dice", (1, 2)))
    write("bce", simulated("bce", (0, 2)))
    rows, found = compare()
    assert (rows["dice"].seeds, rows["bce"].seeds) == (2, 2)
    one = {seed: simulated(loss)[2] for seed, loss in enumerate(("bce", "dice"))}
    tp, fp, fn, _ = np.moveaxis(np.stack(list(one.values())).sum(axis=1).astype(float), -1, 0)
    iou = (tp / (tp + fp + fn)).mean(axis=-1)
    assert rows["dice"].delta == pytest.approx(iou[1] - iou[0]), "seed 2 is the only one that both have"
    assert set(found["best_probability"].values()) == {None}, "one common seed is too few"
    assert rows["mse_dice"].delta is not None


def test_one_seed_left_is_said() -> None:
    write("dice", simulated("dice", (1,)))
    rows, found = compare()
    assert rows["dice"].status.endswith("one seed left: its interval covers test images only")
    assert found["best_probability"]["dice"] is None
    assert found["best_probability"]["mse_dice"] is not None


def test_one_seed_and_one_loss_are_said() -> None:
    for loss in LOSSES:
        write(loss, simulated(loss, (0,)))
    rows, found = compare(settings(seeds=(0,)))
    assert rows["dice"].verdict == "n too small"
    assert rows["dice"].low is not None
    assert found["remarks"] == [
        "one seed: intervals cover test images only, and no difference can be tested; add train.seeds"
    ]
    write("bce", simulated("bce"))
    rows, found = compare(settings(losses=("bce",)))
    assert rows["bce"].verdict == "baseline"
    assert found["best_probability"] == {"bce": None}
    assert found["remarks"] == ["one loss: there is nothing to compare it with; add to grid.losses"]


def test_a_baseline_that_diverged_leaves_nothing_to_compare_with() -> None:
    write("bce", {})
    rows, _ = compare()
    assert (rows["bce"].verdict, rows["dice"].verdict) == ("diverged", "no baseline")
    assert rows["dice"].mean is not None


def test_a_class_that_the_test_set_lacks_is_left_out_and_said() -> None:
    tables = {loss: simulated(loss) for loss in LOSSES}
    for loss, by_seed in tables.items():
        for table in by_seed.values():
            table[:, 1] = [0, 5, 0, 4091]  # no star anywhere, yet some are predicted
        write(loss, by_seed)
    rows, found = compare()
    assert found["remarks"] == ["star: no pixel in the test set; the class is left out of every mean"]
    disk, star = rows_of(found["classes"], "dice")
    assert star == {"loss": "dice", "class": "star", "mean": None, "low": None, "high": None}
    assert rows["dice"].mean == pytest.approx(disk["mean"])


def test_a_test_set_without_any_object_has_no_value() -> None:
    for loss in LOSSES:
        write(loss, {seed: np.full((4, 2, 4), [0, 0, 0, 4096]) for seed in SEEDS})
    rows, found = compare()
    assert {row.verdict for row in rows.values()} == {"no value"}
    assert rows["dice"].mean is None
    assert len(found["remarks"]) == 2, "one for each class"
    assert {row["objects"] for row in found["sizes"]} == {0}


def test_an_empty_test_set_is_said() -> None:
    for loss in LOSSES:
        write(loss, {seed: np.zeros((0, 2, 4), np.int64) for seed in SEEDS}, [])
    rows, found = compare()
    assert {row.verdict for row in rows.values()} == {"no value"}
    assert found["remarks"][0] == "bce: no scores: is the test set empty? run `dvc repro`"


def test_scores_of_other_images_are_not_compared() -> None:
    write("dice", simulated("dice", images=20))
    rows, found = compare()
    assert rows["dice"].status == "scored on other images than the rest, so not compared: run `dvc repro`"
    assert rows["dice"].verdict == "no baseline"
    assert rows["dice"].mean is not None
    assert rows["dice"].delta is None
    assert rows["mse_dice"].delta is not None
    assert found["best_probability"]["dice"] is None


def test_results_of_before_there_were_boundaries_are_one_line() -> None:
    path = runs.boundaries_file("shapes", "dice")
    path.unlink()
    with pytest.raises(InputError, match=rf"^{path}: not found; run `dvc repro`$"):
        compare()
    write("dice", simulated("dice"))
    path.write_bytes(runs.boundaries_file("shapes", "bce").read_bytes().replace(b"i29", b"i30"))
    with pytest.raises(InputError, match="not of the seeds and images of the scores"):
        compare()
    runs.scores_file("shapes", "dice").write_text("seed,image\n")
    with pytest.raises(InputError, match=r"dice\.csv: not a table of tp, fp, fn, tn; remove it and run `dvc repro`"):
        compare()


def test_terciles_keep_equal_areas_together() -> None:
    small, medium, large = analysis.size_groups(np.array([[0, 5, 5, 5, 9, 9, 20]]))
    assert [int(group.sum()) for group in (small, medium, large)] == [3, 2, 1]
    assert not (small | medium | large)[0, 0], "no pixel, no object"
    alike = analysis.size_groups(np.full((3, 1), 7))
    assert [int(group.sum()) for group in alike] == [3, 0, 0]


def test_sums_of_the_same_terms_are_families() -> None:
    def mix(**weights: list[float]) -> list[dict[str, Any]]:
        params = settings()
        for name, (mse, dice) in weights.items():
            params.losses[name] = {
                "kind": "sum",
                "terms": [{"weight": mse, "loss": {"kind": "mse"}}, {"weight": dice, "loss": {"kind": "dice"}}],
            }
        grid = params.grid.model_copy(update={"losses": (*LOSSES, *weights)})
        return leaderboard.families(params.model_copy(update={"grid": grid}))

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
