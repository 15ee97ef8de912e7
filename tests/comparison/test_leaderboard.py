"""From score files to leaderboard.json."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from projects import ROOT
from scored_losses import CLASSES, LOSSES, SEEDS, cell, compare, decided, simulated, write

from losslab.errors import InputError
from losslab.results import paths, scores

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.usefixtures("scored")


def test_the_leaderboard_has_every_metric_at_both_thresholds() -> None:
    compare()
    board = json.loads(Path("board/leaderboard.json").read_text(encoding="utf-8"))
    assert {row["metric"] for row in board} == {
        "miou", "dice", "image_dice", "pixel_accuracy", "precision", "recall", "boundary_f", "hd95",
    }  # fmt: skip
    assert len(board) == 8 * 2 * 3
    assert all(row["low"] <= row["mean"] <= row["high"] for row in board)
    assert {row["mean"] for row in board if row["metric"] == "hd95"} == {1.5}
    gap = next(row for row in board if (row["loss"], row["metric"], row["threshold"]) == ("dice", "miou", "tuned"))
    assert gap["delta_low"] > 0.05
    assert gap["verdict"] == "best"
    assert {row["verdict"] for row in board if (row["metric"], row["threshold"]) != ("miou", "tuned")} == {"not judged"}


def test_what_else_was_measured_has_rows_and_intervals_and_moves_no_verdict() -> None:
    compare()
    verdicts = Path("board/verdicts.json").read_bytes()
    images = [f"i{number}" for number in range(30)]
    for place, loss in enumerate(LOSSES):
        hit = np.arange(30)[:, None] % (place + 2) > 0
        components = np.stack(np.broadcast_arrays(2, 1, 1, np.repeat(hit, 2, axis=1)), axis=-1).astype(np.float64)
        values = {seed: dict.fromkeys(scores.THRESHOLDS, components) for seed in SEEDS}
        path = paths.extra_file(cell(loss), "components")
        scores.write_table(path, scores.EXTRAS["components"], images, CLASSES, values)
    write("bce", {})  # its table has no row, but the same columns
    scores.write_table(paths.extra_file(cell("bce"), "components"), scores.EXTRAS["components"], [], CLASSES, {})
    compare()
    board = json.loads(Path("board/leaderboard.json").read_text(encoding="utf-8"))
    rows = {(row["loss"], row["metric"]): row for row in board if row["threshold"] == "fixed"}
    assert {metric for _, metric in rows} >= {"component_recall", "component_precision"}
    assert not {"cl_dice", "betti_0", "ece"} & {metric for _, metric in rows}
    recall = rows["mse_dice", "component_recall"]
    assert recall["mean"] == pytest.approx(22 / 30, abs=1e-6)
    assert recall["low"] < recall["mean"] < recall["high"]
    precision = rows["mse_dice", "component_precision"]
    assert [precision[key] for key in ("low", "mean", "high", "delta")] == [0.5, 0.5, 0.5, None]
    assert rows["bce", "component_recall"]["mean"] is None
    write("bce", simulated("bce"))
    lacking = paths.extra_file(cell("bce"), "components")
    lacking.unlink()
    with pytest.raises(InputError, match=rf"^{lacking}: not found, and other losses have it; run `dvc repro`$"):
        compare()
    lacking.write_bytes(paths.extra_file(cell("dice"), "components").read_bytes().replace(b"i29", b"i30"))
    with pytest.raises(InputError, match=rf"^{lacking}: not of the seeds and images of the scores"):
        compare()
    for loss in LOSSES:
        paths.extra_file(cell(loss), "components").unlink()
    compare()
    assert Path("board/verdicts.json").read_bytes() == verdicts


def test_every_seeds_value_is_in_the_table() -> None:
    rows, _ = compare()
    with Path("board/leaderboard.csv").open(encoding="utf-8", newline="") as file:
        table = [row for row in csv.DictReader(file) if (row["metric"], row["threshold"]) == ("miou", "tuned")]
    assert {row["loss"] for row in table} == set(rows)
    for row in table:
        values = [float(row[f"seed_{seed}"]) for seed in (0, 1, 2)]
        assert np.mean(values) == pytest.approx(float(row["mean"]), abs=2e-6)
    assert [row["loss"] for row in table] == ["dice", "mse_dice", "bce"], "best first"


def test_the_same_files_give_the_same_bytes() -> None:
    compare()
    first = [path.read_bytes() for path in (Path("analysis.json"), *sorted(Path("board").iterdir()))]
    compare()
    assert [path.read_bytes() for path in (Path("analysis.json"), *sorted(Path("board").iterdir()))] == first


def test_seeds_that_diverged_pair_by_what_is_common() -> None:
    write("dice", simulated("dice", (1, 2)))
    write("bce", simulated("bce", (0, 2)))
    rows, _ = compare()
    assert (rows["dice"].seeds, rows["bce"].seeds) == (2, 2)
    one = {seed: simulated(loss)[2] for seed, loss in enumerate(("bce", "dice"))}
    tp, fp, fn, _ = np.moveaxis(np.stack(list(one.values())).sum(axis=1).astype(float), -1, 0)
    iou = (tp / (tp + fp + fn)).mean(axis=-1)
    assert rows["dice"].delta == pytest.approx(iou[1] - iou[0]), "seed 2 is the only one that both have"
    assert rows["mse_dice"].delta is not None


def test_a_baseline_that_diverged_leaves_nothing_to_show_differences_to() -> None:
    write("bce", {})
    rows, _ = compare()
    assert (rows["bce"].verdict, rows["dice"].delta) == ("diverged", None)
    assert rows["dice"].mean is not None
    assert decided().verdict == "best", "the verdict does not go by the baseline"


def test_dvc_metrics_are_the_headlines_by_data_set_network_and_loss() -> None:
    rows, _ = compare()
    tree = json.loads(Path("board/metrics.json").read_text(encoding="utf-8"))
    assert list(tree) == ["shapes"]
    assert list(tree["shapes"]) == ["unet"]
    assert list(tree["shapes"]["unet"]) == ["bce", "dice", "mse_dice"]
    dice = tree["shapes"]["unet"]["dice"]
    assert set(dice) == {"miou_fixed", "miou_tuned", "dice_fixed", "dice_tuned"}
    assert dice["miou_tuned"] == pytest.approx(rows["dice"].mean, abs=1e-6)


@pytest.mark.parametrize("plot", ["validation mIoU", "validation loss", "test mIoU"])
def test_a_plot_of_dvc_tells_data_sets_networks_and_losses_apart(plot: str) -> None:
    compare()
    (settings,) = (entry[plot] for entry in DVC["plots"] if plot in entry)
    ((table, _),) = settings["y"].items()
    spec = json.loads((ROOT / f".dvc/plots/{settings['template']}.json").read_text(encoding="utf-8"))
    with Path("board", Path(table).name).open(encoding="utf-8") as file:
        columns = set(next(csv.reader(file)))
    formulas = {step["as"]: step["calculate"] for step in spec["transform"] if "calculate" in step}
    expressions = [*formulas.values(), *(step["filter"] for step in spec["transform"] if "filter" in step)]
    assert set(re.findall(r"datum\.(\w+)", " ".join(expressions))) <= columns
    every, grouping = fields(spec), fields([spec["facet"], spec["spec"]["encoding"]])
    assert every - formulas.keys() <= columns | {"rev"}
    for name in grouping & formulas.keys():
        grouping |= set(re.findall(r"datum\.(\w+)", formulas[name]))
    assert grouping >= {"dataset", "network", "loss"}


def fields(spec: Any) -> set[str]:
    """The columns that a part of a Vega-Lite specification draws."""
    if isinstance(spec, dict):
        own = {spec["field"]} if isinstance(spec.get("field"), str) else set()
        return own.union(*map(fields, spec.values()))
    return set().union(*map(fields, spec)) if isinstance(spec, list) else set()
