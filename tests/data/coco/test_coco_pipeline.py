"""Data sets in COCO's format through the pipeline, from one entry of params.yaml on."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from coco_world import Server, coco_file, official, write_set
from projects import ROOT, Project

from losslab.data import tensors


def add(project: Project, name: str, download: dict[str, Any], image_size: int) -> None:
    """One more data set, and the only one of the grid."""
    entry = {"kind": "coco", "download": download, "extract": {"image_size": image_size, "planes": "per_class"}}
    project.set(lambda params: params["datasets"].update({name: entry}))
    project.set(lambda params: params["grid"].update(datasets=[name]))


def repository(project: Project, cache: str) -> Project:
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["dvc", "config", "cache.type", cache]):
        assert project.run(*command).returncode == 0
    return project


def stages(name: str) -> set[str]:
    runs = {f"{stage}@{name}-unet-{loss}" for stage in ("tune", "train", "evaluate") for loss in ("bce", "dice")}
    return {"plan", f"download@{name}", f"extract@{name}", "weights@unet", *runs, "compare", "report"}


def own_data(folder: Path) -> dict[str, Any]:
    """A data set with classes that COCO lacks, in one split; the options of its download."""
    write_set(folder, coco_file(40))
    where = {"annotations": str(folder), "images": str(folder), "train": "all"}
    return where | {"classes": ["cell", "dust"], "instances": "only_annotation", "seed": 0}


def test_own_data_goes_from_one_entry_to_tensors(project: Project, tmp_path: Path) -> None:
    add(project, "cells", own_data(tmp_path / "mine"), 16)
    for stage in (["plan"], ["download", "cells"], ["extract", "cells"]):
        done = project.stage(*stage, PYTHONPATH="src")
        assert done.returncode == 0, done.stderr
    account = json.loads((project.root / "data/tensors/cells/extract.json").read_text())
    assert {name: split["kept"] for name, split in account["splits"].items()} == {"train": 28, "val": 4, "test": 8}
    assert sum(split["classes"]["cell"] for split in account["splits"].values()) == 20
    assert tensors.read(project.root / "data/tensors/cells/test.safetensors").classes == ("cell", "dust")


def test_a_wrong_entry_is_one_line_and_leaves_no_folder(project: Project, tmp_path: Path) -> None:
    add(project, "cells", own_data(tmp_path / "mine") | {"classes": ["cel"]}, 16)
    assert project.stage("plan").returncode == 0
    done = project.stage("download", "cells", PYTHONPATH="src")
    file = tmp_path / "mine/annotations/instances_all.json"
    assert done.stderr == f"error: {file}: has no class 'cel'; did you mean 'cell'? known: cell, dust\n"
    assert done.returncode == 1
    assert not (project.root / "data/raw/cells").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_own_data_goes_from_one_entry_to_the_report(project: Project, tmp_path: Path) -> None:
    add(project, "cells", own_data(tmp_path / "mine"), 16)
    repository(project, "copy")
    assert set(project.repro()) == stages("cells")
    board = json.loads((project.root / "results/compare/leaderboard.json").read_text())
    assert {(row["dataset"], row["loss"], row["images"]) for row in board} == {
        ("cells", "bce", 8),
        ("cells", "dice", 8),
    }
    page = (project.root / "results/report.html").read_text()
    assert "dust" in page
    assert "cells" in page
    assert project.repro() == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_coco_goes_to_the_report_from_a_server_and_from_a_folder(
    project: Project, tmp_path: Path, server: Server
) -> None:
    coco_mini = Path(os.environ.get("LOSSLAB_COCO_MINI", ROOT.parent / "shared" / "coco_mini"))
    if not coco_mini.is_dir():
        pytest.skip("shared/coco_mini, 343 real COCO images, is not here")
    wanted = {"train": "train2017", "test": "val2017", "classes": ["person", "cat", "dog"]}
    wanted |= {"instances": "one_of_class", "min_box": 20, "seed": 0}
    add(project, "coco", official(server, coco_mini, ("train2017", "val2017")) | wanted, 64)
    # With hard links DVC makes what was fetched read-only, in downloads/ too.
    repository(project, "hardlink")
    assert set(project.repro()) == stages("coco")
    account = json.loads((project.root / "data/tensors/coco/extract.json").read_text())
    assert {name: split["kept"] for name, split in account["splits"].items()} == {"train": 47, "val": 5, "test": 22}
    raw = project.root / "data/raw/coco"
    selected = {f"/{path.parent.name}/{path.name}" for path in (raw / "images").rglob("*.jpg")}
    assert len(selected) == 74
    assert server.counts == Counter(selected | {"/annotations/annotations_trainval2017.zip"})
    assert "coco" in (project.root / "results/report.html").read_text()

    # A smaller box asks for the one image more; what is in downloads/, read-only now, serves the rest.
    server.requests.clear()
    project.set(lambda params: params["datasets"]["coco"]["download"].update(min_box=0))
    assert project.repro("extract@coco")[-2:] == ["download@coco", "extract@coco"]
    assert len(server.requests) == 1

    # The same images from a folder: nothing after the download has anything to do. The folder is left as it was.
    before = {path: path.stat() for path in sorted(coco_mini.rglob("*.*"))}
    where = {"annotations": str(coco_mini), "images": str(coco_mini)}
    project.set(lambda params: params["datasets"]["coco"]["download"].update(where | {"min_box": 20}))
    assert project.repro("evaluate@coco-unet-bce") == ["plan", "download@coco"]
    assert len(server.requests) == 1
    assert all(
        path.stat().st_mode == stat.st_mode and path.stat().st_nlink == stat.st_nlink for path, stat in before.items()
    )
