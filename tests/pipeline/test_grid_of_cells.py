"""Two data sets × two networks × two losses, as `dvc repro` runs them; and a network that is added is trained alone."""

import json
from itertools import product
from pathlib import Path
from typing import Any

from mask_world import carvana
from projects import new_repository

DATASETS, NETWORKS, LOSSES = ("shapes", "cars"), ("unet", "pooled"), ("bce", "dice")

STAGES = ("tune", "train", "evaluate")


def instances(stages: tuple[str, ...], *axes: tuple[str, ...]) -> set[str]:
    return {f"{stage}@{'-'.join(names)}" for stage in stages for names in product(*axes)}


def test_a_grid_of_three_axes_grows_by_a_network(tmp_path: Path, shapes: Path, commands: Path) -> None:
    project = new_repository(tmp_path / "project", commands)

    def two_datasets(params: dict[str, Any]) -> None:
        params["datasets"]["shapes"]["download"]["source"] = str(shapes)
        params["datasets"]["cars"] = {
            "kind": "mask_folder",
            "download": {
                "images": str(carvana(tmp_path / "cars")),
                "image_names": "train/{id}.jpg",
                "mask_names": "train_masks/{id}_mask.gif",
                "val_share": 0.25,
                "test_share": 0.25,
            },
            "extract": {"image_size": 32, "classes": {"car": "nonzero"}, "workers": 1},
        }
        params["networks"]["pooled"] = {"kind": "pool_upsample"}
        params["grid"] = {"datasets": list(DATASETS), "networks": ["unet"], "losses": list(LOSSES)}
        params["train"]["epochs"] = 1

    project.set(two_datasets)
    ran = project.repro()
    assert len(ran) == len(set(ran))
    after = {"plan", "compare", "report"}
    first = instances(STAGES, DATASETS, ("unet",), LOSSES)
    assert set(ran) == after | instances(("download", "extract"), DATASETS) | {"weights@unet"} | first

    project.set(lambda p: p["grid"].update(networks=list(NETWORKS)))
    pooled = instances(STAGES, DATASETS, ("pooled",), LOSSES)
    assert set(project.repro()) == after | {"weights@pooled"} | pooled

    board = json.loads((project.root / "results/compare/leaderboard.json").read_text())
    assert {(row["dataset"], row["network"], row["loss"]) for row in board} == set(product(DATASETS, NETWORKS, LOSSES))
    for dataset, network, loss in product(DATASETS, NETWORKS, LOSSES):
        assert (project.root / "results/train" / dataset / network / loss / "seed0.safetensors").is_file()
    metrics = json.loads((project.root / "results/metrics.json").read_text())
    assert metrics.keys() == set(DATASETS)
    assert all(by_network.keys() == set(NETWORKS) for by_network in metrics.values())
    figures = {path.parent for path in (project.root / "results/figures").rglob("*.png")}
    assert figures == {project.root / "results/figures" / d / n for d, n in product(DATASETS, NETWORKS)}
