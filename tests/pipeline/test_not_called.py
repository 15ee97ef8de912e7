"""What a fingerprint leaves out because the stage does not call it is not called, for any kind of data set."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import cifar_world
import coco_world
import flowers_world
import label_studio_world
import mask_world
import pytest
import yolo_world

from losslab import data
from pipeline.fingerprints import NOT_CALLED


def shapes_files(path: Path, shapes: Path) -> dict[str, Any]:
    names = {f"{split}_file": f"PurdueShapes5MultiObject-20-{split}.gz" for split in ("train", "test")}
    extract = {"train_images": 12, "val_images": 8, "test_images": 20}
    return {"kind": "purdue_shapes", "download": {"source": str(shapes), **names}, "extract": extract}


def masks(path: Path, shapes: Path) -> dict[str, Any]:
    download = {
        "images": str(mask_world.carvana(path)),
        "image_names": "train/{id}.jpg",
        "mask_names": "train_masks/{id}_mask.gif",
    }
    extract = {"image_size": 8, "classes": {"car": "nonzero"}, "workers": 1}
    return {"kind": "mask_folder", "download": download, "extract": extract}


def colours(path: Path, shapes: Path) -> dict[str, Any]:
    path.write_bytes(cifar_world.archive())
    extract = {"category": "horse", "colours": 3, "val_images": 4}
    return {"kind": "cifar_colour", "download": {"source": str(path), "md5": None}, "extract": extract}


def flowers(path: Path, shapes: Path) -> dict[str, Any]:
    download = {"source": str(flowers_world.folder(path)), "md5": {}}
    return {"kind": "flowers17", "download": download, "extract": {"image_size": 32, "workers": 1}}


def coco(path: Path, shapes: Path) -> dict[str, Any]:
    source = coco_world.write_set(path, coco_world.coco_file())
    made = coco_world.dataset(source)
    return {"kind": "coco", **made.model_dump()}


def yolo(path: Path, shapes: Path) -> dict[str, Any]:
    download = {"source": str(yolo_world.write(path))}
    return {"kind": "yolo", "download": download, "extract": {"image_size": 16, "workers": 1}}


def drawings(path: Path, shapes: Path) -> dict[str, Any]:
    extract = {"image_size": 32, "train_images": 3, "val_images": 2, "test_images": 2}
    return {"kind": "thin_structures", "download": {}, "extract": extract}


@contextmanager
def calls() -> Iterator[set[str]]:
    """Names of the modules whose functions are called in the block, in threads that it starts too."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            names.add(frame.f_globals.get("__name__", ""))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(before)
        threading.setprofile(before)


def label_studio(path: Path, shapes: Path) -> dict[str, Any]:
    folder = label_studio_world.write(path)
    download = {"annotations": str(folder / "project.json"), "images": str(folder / "images")}
    return {"kind": "label_studio", "download": download, "extract": {"image_size": 16, "workers": 1}}


@pytest.mark.parametrize("made", [shapes_files, masks, colours, flowers, coco, yolo, label_studio, drawings])
def test_what_is_left_out_is_not_called(
    made: Callable[[Path, Path], dict[str, Any]], tmp_path: Path, shapes: Path
) -> None:
    for name in {name for names in NOT_CALLED.values() for name in names}:
        import_module(name)  # or the import itself would be taken for a call
    spec = data.registry.complete(made(tmp_path / "source", shapes))
    kind = data.registry.resolve(spec["kind"])
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    fetched, whole = kind.to_fetch(spec["download"]), data.registry.build(spec)
    with calls() as downloading:
        fetched.fetch(raw)
    with calls() as extracting:
        whole.write_tensors(raw, out)
    assert kind.__module__ in downloading & extracting
    assert "losslab.data.tensors" in extracting, "what is called is seen"
    assert not downloading & NOT_CALLED["download"]
    assert not extracting & NOT_CALLED["extract"]
