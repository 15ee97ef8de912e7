"""The recipes whose data cannot be fetched by a test run end to end on stand-ins in the official layouts."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from cifar_world import archive
from flowers_world import folder
from layouts_world import cityscapes, drive, pets, voc
from mask_world import carvana
from projects import ROOT
from recipe_world import replay


def photographs(dataset: dict[str, Any], path: Path) -> None:
    dataset["download"] |= {"images": str(carvana(path))}
    dataset["extract"] |= {"image_size": 32, "workers": 1}


def pictures(dataset: dict[str, Any], path: Path) -> None:
    path.write_bytes(archive())
    dataset["download"] |= {"source": str(path), "md5": None}
    dataset["extract"] |= {"val_images": 4}


def flowers(dataset: dict[str, Any], path: Path) -> None:
    dataset["download"] |= {"source": str(folder(path)), "md5": {}}
    dataset["extract"] |= {"image_size": 32, "workers": 1}


def smaller_drawings(dataset: dict[str, Any], path: Path) -> None:
    dataset["extract"] |= {"image_size": 32, "train_images": 8, "val_images": 4, "test_images": 4}


def in_the_layout_of(make: Callable[[Path], None], below: str = "") -> Callable[[dict[str, Any], Path], None]:
    def stand_in(dataset: dict[str, Any], path: Path) -> None:
        make(path / below)
        dataset["download"] = {k: v for k, v in dataset["download"].items() if k != "masks"} | {"images": str(path)}
        dataset["extract"] |= {"image_size": 32, "workers": 1}

    return stand_in


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stand_in", "options"),
    [
        ("carvana_unet", photographs, {"width": 4}),
        ("carvana_unet_cpu", photographs, {"width": 4}),
        ("cifar_colour", pictures, {}),
        ("flowers_deeplab", flowers, {}),
        ("voc_2012", in_the_layout_of(voc, "VOCdevkit/VOC2012"), {"width": 4, "levels": 2}),
        ("cityscapes", in_the_layout_of(cityscapes), {"width": 4, "levels": 2}),
        ("oxford_pets", in_the_layout_of(pets), {"width": 4, "levels": 2}),
        ("drive", in_the_layout_of(drive), {"width": 4, "levels": 2}),
        ("thin_structures", smaller_drawings, {"width": 4, "levels": 2}),
    ],
)
def test_a_recipe_runs_end_to_end(
    name: str,
    stand_in: Callable[[dict[str, Any], Path], None],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text())
    [entry] = recipe["datasets"].values()
    stand_in(entry, tmp_path / "source")
    for network in recipe["networks"].values():
        network |= options
    recipe["train"] |= {"epochs": 1, "batch_size": 2}
    recipe["compare"]["resamples"] = 50
    recipe["report"]["images"] = 2
    root = replay(recipe, tmp_path / "project", monkeypatch)
    board = json.loads((root / "results" / "compare" / "leaderboard.json").read_text())
    scored = {(row["network"], row["loss"]) for row in board if row["seeds"]}
    assert scored == set(product(recipe["grid"]["networks"], recipe["grid"]["losses"]))
