"""What the image browser is given."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from report_world import results

from losslab.report import evidence
from losslab.report.captions import pictures
from losslab.report.image_atlas import browser
from losslab.results import paths
from losslab.settings.plans import Cell


def test_a_loss_scored_on_other_images_is_left_out_of_what_compares_images(here: Path) -> None:
    plan = results(here)
    path = paths.scores_file(Cell("shapes", "unet", "dice"))
    path.write_text(path.read_text(encoding="utf-8").replace("test3", "test99"))
    everything = evidence.read(plan.params, "shapes", "unet")
    shown = browser(everything, 10**6)
    assert shown is not None
    assert [loss["name"] for loss in shown["losses"]] == ["bce", "mse"]
    assert "images_disagree" in {picture.name for picture in pictures(everything, 3)}


def test_a_browser_over_its_budget_takes_one_seed_then_fewer_images(here: Path) -> None:
    everything = evidence.read(results(here).params, "shapes", "unet")
    whole = browser(everything, 10**6)
    assert whole is not None
    assert [len(loss["seeds"]) for loss in whole["losses"]] == [3, 3, 3]
    size = sum(len(mask) for loss in whole["losses"] for seed in loss["seeds"] for mask in seed["masks"])
    less = browser(everything, size // 2)
    assert less is not None
    assert [len(loss["seeds"]) for loss in less["losses"]] == [1, 1, 1]
    least = browser(everything, 1000)
    assert least is not None
    assert len(least["ids"]) < least["total"] == 12


def test_what_is_unknown_is_an_atlas_of_its_own_if_there_is_any(here: Path) -> None:
    everything = evidence.read(results(here).params, "shapes", "unet")
    known = browser(everything, 10**6)
    assert known is not None
    assert known["unknown"] == []
    truth = everything.test.truth.copy()
    truth[1, 1, :3] = 255
    shown = browser(replace(everything, test=replace(everything.test, truth=truth)), 10**6)
    assert shown is not None
    [uri] = shown["unknown"]
    atlas = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"))
    width, height = shown["tile"]
    tile = atlas[:height, width : 2 * width]
    assert (tile[:3] == 2).all(), "bit 1: class 1"
    assert atlas.sum() == 2 * 3 * width
