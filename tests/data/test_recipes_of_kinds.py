"""The recipes whose data cannot be fetched by a test run end to end on stand-ins in the official layouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT
from recipe_world import replay
from test_cifar_colour import archive
from test_flowers17 import folder
from test_mask_folder import carvana


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stand_in", "model"),
    [
        ("carvana_unet", photographs, {"width": 4}),
        ("carvana_unet_cpu", photographs, {"width": 4}),
        ("cifar_colour", pictures, {}),
        ("cifar_colour", pictures, {"kind": "pool_upsample"}),
        ("cifar_colour", pictures, {"kind": "strided_transposed"}),
        ("flowers_deeplab", flowers, {}),
    ],
)
def test_a_recipe_runs_end_to_end(
    name: str,
    stand_in: Callable[[dict[str, Any], Path], None],
    model: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text())
    [options] = recipe["datasets"].values()
    stand_in(options, tmp_path / "source")
    recipe["model"] |= model
    if "kind" in model:  # as the recipe's own text says
        del recipe["model"]["levels"]
    recipe["train"] |= {"epochs": 1, "batch_size": 2}
    recipe["compare"]["resamples"] = 50
    recipe["report"]["images"] = 2
    root = replay(recipe, tmp_path / "project", monkeypatch)
    board = json.loads((root / "results" / "leaderboard.json").read_text())
    assert {row["loss"] for row in board if row["seeds"]} == set(recipe["grid"]["losses"])
