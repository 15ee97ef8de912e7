"""The recipes whose data cannot be fetched by a test run end to end on stand-ins in the official layouts."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, new_project
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
    [(dataset, options)] = recipe["datasets"].items()
    stand_in(options, tmp_path / "source")
    recipe["model"] |= model
    if "kind" in model:  # as the recipe's own text says
        del recipe["model"]["levels"]
    recipe["train"] |= {"epochs": 1, "batch_size": 2}
    recipe["compare"]["resamples"] = 50
    recipe["report"]["images"] = 2
    root = new_project(tmp_path / "project").root
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    stages = [("code",), ("download", dataset), ("extract", dataset)]
    stages += [(stage, dataset, loss) for loss in recipe["grid"]["losses"] for stage in ("train", "evaluate")]
    for stage, *arguments in (*stages, ("compare",), ("report",)):
        monkeypatch.setattr("sys.argv", [stage, *arguments])
        import_module(f"pipeline.{stage}").main()
    assert (root / "results" / "report.html").is_file()
    board = json.loads((root / "results" / "leaderboard.json").read_text())
    assert {row["loss"] for row in board if row["seeds"]} == set(recipe["grid"]["losses"])
