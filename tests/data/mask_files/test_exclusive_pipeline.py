"""A label map with void, padded images and classes that exclude each other, from files to verdict, report and masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from projects import ROOT
from recipe_world import replay
from sklearn.metrics import confusion_matrix, jaccard_score
from tracked import logged_runs

from losslab.data import tensors
from losslab.results import history, paths, predictions, scores
from losslab.settings import params
from losslab.settings.plans import Cell
from losslab.tracking import runs, store, sync

COLOURS = {0: (40, 40, 40), 1: (200, 40, 40), 2: (40, 60, 200), 3: (40, 200, 60)}
LOSSES = ("cross_entropy", "dice", "mse")


def street(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A photograph `[30, 44, 3]`, and its label map: road at the bottom, a car on it, a void frame around that; of
    every tenth number no pixel is known."""
    rng = np.random.default_rng(number)
    labels = np.zeros((30, 44), np.uint8)
    labels[16:] = 1
    row, column = rng.integers(8, 18), rng.integers(2, 30)
    labels[row - 1 : row + 9, column - 1 : column + 13] = 255
    labels[row : row + 8, column : column + 12] = 2
    picture = np.zeros((30, 44, 3), np.uint8)
    for value, colour in COLOURS.items():
        picture[labels == value] = colour
    picture = np.clip(picture + rng.integers(-30, 30, picture.shape), 0, 255).astype(np.uint8)
    return picture, labels if number % 10 else np.full_like(labels, 255)


def recipe(folder: Path) -> dict[str, Any]:
    """The default params with three losses on such images."""
    for number in range(40):
        picture, labels = street(number)
        for part, pixels in (("images", picture), ("labels", labels)):
            path = folder / part / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    asked: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    download = {"images": str(folder), "image_names": "images/{id}.png", "mask_names": "labels/{id}.png"}
    extract = {"image_size": [20, 32], "fit": "pad", "void": [255], "classes": {"road": 1, "car": 2, "bus": 9}}
    asked["datasets"] = {"streets": {"kind": "mask_folder", "download": download, "extract": extract | {"workers": 1}}}
    asked["grid"] = {"datasets": ["streets"], "networks": ["unet"], "losses": list(LOSSES)}
    asked["losses"] = {loss: asked["losses"][loss] for loss in LOSSES}
    asked["networks"]["unet"] |= {"width": 4, "levels": 2}
    asked["train"] |= {"epochs": 6, "batch_size": 4, "seeds": [0, 1]}
    asked["compare"] |= {"baseline": "cross_entropy", "resamples": 50}
    return asked


def test_losses_are_ranked_by_argmax_over_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay(recipe(tmp_path / "source"), tmp_path / "project", monkeypatch)
    split = tensors.read(paths.split_file("streets", "test"))
    assert split.classes == ("background", "road", "car", "bus")
    assert (split.exclusive, split.padded, split.has_void) == (True, True, True)
    account = json.loads((paths.TENSORS / "streets/extract.json").read_text(encoding="utf-8"))
    assert sum(part["left_out"].get("all_void", 0) for part in account["splits"].values()) == 4

    board = json.loads(paths.LEADERBOARD.read_text(encoding="utf-8"))
    assert {row["threshold"] for row in board} == {"argmax"}
    mean = {(row["loss"], row["metric"]): row["mean"] for row in board}
    known = split.truth != 255
    for loss in LOSSES:
        cell = Cell("streets", "unet", loss)
        expected = []
        classes, tables = scores.read_confusion(paths.confusion_file(cell))
        for seed in (0, 1):
            masks = predictions.read(paths.predictions_file(cell, seed), split.images.shape[-1])
            assert (masks.sum(axis=1) == 1).all(), "each pixel is of one class"
            truth, taken = split.truth[known], masks.argmax(axis=1)[known]
            per_class = jaccard_score(truth, taken, average=None, labels=range(4), zero_division=0)
            expected.append((per_class[:3].mean(), per_class[1:3].mean(), (truth == taken).mean()))
            np.testing.assert_array_equal(tables[seed], confusion_matrix(truth, taken, labels=range(4)))
        for metric, value in zip(("miou", "miou_foreground", "pixel_accuracy"), np.mean(expected, axis=0), strict=True):
            assert mean[loss, metric] == pytest.approx(value, abs=2e-6)
        assert classes == split.classes
        metrics = {row.metric for row in history.read(paths.history_file(cell)) if row.split == "val"}
        assert metrics == {"loss", "miou_argmax"}
    assert mean["cross_entropy", "miou"] > 0.5, "it learns"

    verdict = json.loads(paths.VERDICTS.read_text(encoding="utf-8"))[0]
    assert verdict["leader"] in LOSSES
    analysis = json.loads(paths.ANALYSIS.read_text(encoding="utf-8"))["streets"]["unet"]
    assert "bus: in no training image, so that no loss can learn it" in analysis["remarks"]
    assert "bus: no pixel in the test set; the class is left out of every mean" in analysis["remarks"]
    assert analysis["threshold_gain"] == []
    page = paths.REPORT.read_text(encoding="utf-8")
    assert "most probable class" in page
    assert "mIoU without background" in page
    assert "at 0.5" not in page
    figures = {path.name for path in (paths.FIGURES / "streets" / "unet").iterdir()}
    assert "confusion.png" in figures
    assert "threshold_gain.png" not in figures

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for module, name, value in ((sync, "_retry_at", 0.0), (sync, "_attempted", None), (runs, "_logged", {})):
        monkeypatch.setattr(module, name, value)
    assert sync.everything(params.load())
    run = logged_runs("streets")["unet-cross_entropy-seed0"]
    assert {"val_miou_argmax", "test_miou_argmax", "test_miou_foreground_argmax", "test_iou_argmax_road"} <= set(
        run.data.metrics
    )
    assert "threshold" not in run.data.metrics
    client, _ = store.connect("streets")
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"sample.png", "confusion.csv", "confusion.png"}
    [version] = client.search_model_versions("name = 'losslab-streets'")
    assert "a pixel is of the class that is most probable" in version.description
