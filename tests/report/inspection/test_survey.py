"""`losslab data`: what it says of the stand-ins of each format, and that its entry is read."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import label_studio_world
import layouts_world
import numpy as np
import pytest
import yaml
import yolo_world
from coco_world import coco_file, write_set
from mask_world import carvana
from PIL import Image
from projects import Project

from losslab import __main__ as command_line
from losslab import data

Make = Callable[[Path], Any]


def coco(root: Path) -> None:
    write_set(root, coco_file(20))


FORMATS: dict[str, tuple[Make, str, dict[str, Any], dict[str, Any]]] = {
    "yolo": (yolo_world.write, "YOLO, polygons", {}, {}),
    "coco": (coco, "COCO, outlines", {"classes": ["cell", "dust"], "instances": "all"}, {"planes": "per_class"}),
    "label_studio": (
        label_studio_world.write, "Label Studio, polygons and brush strokes", {}, {"classes": ["cell", "dust"]},
    ),
    "carvana": (
        carvana, "mask files, black and white",
        {"image_names": "{split}/{id}.jpg", "mask_names": "{split}_masks/{id}_mask.gif", "train": "train"},
        {"classes": {"object": "nonzero"}},
    ),
    "voc": (
        layouts_world.voc, "mask files, 2 labels",
        {"image_names": "JPEGImages/{id}.jpg", "mask_names": "SegmentationClass/{id}.png",
         "lists": "ImageSets/Segmentation/{split}.txt", "train": "train", "val": "val"},
        {"classes": {"class_1": 1, "class_20": 20}, "void": [255]},
    ),
    "cvat": (
        layouts_world.cvat, "mask files, 2 colours, named by labelmap.txt",
        {"image_names": "JPEGImages/{id}.jpg", "mask_names": "SegmentationClass/{id}.png"},
        {"classes": {"cat": "#fa3253", "dog": "#33ddff"}},
    ),
    "cityscapes": (
        layouts_world.cityscapes, "mask files, 3 labels",
        {"image_names": "leftImg8bit/{split}/{id}_leftImg8bit.png",
         "mask_names": "gtFine/{split}/{id}_gtFine_labelIds.png", "train": "train", "val": "val"},
        {"classes": {"class_4": 4, "class_7": 7, "class_26": 26}},
    ),
    "camvid": (
        layouts_world.camvid, "mask files, 3 colours",
        {"image_names": "{split}/{id}.png", "mask_names": "{split}_labels/{id}_L.png", "train": "train", "val": "val",
         "test": "test"},
        {"classes": {"class_1": "#800000", "class_2": "#804080", "class_3": "#808080"}},
    ),
    "ade20k": (
        layouts_world.ade20k, "mask files, 2 labels",
        {"image_names": "images/{split}/{id}.jpg", "mask_names": "annotations/{split}/{id}.png", "train": "training",
         "val": "validation"},
        {"classes": {"class_1": 1, "class_2": 2}},
    ),
    "pets": (
        layouts_world.pets, "mask files, 3 labels",
        {"image_names": "images/{id}.jpg", "mask_names": "annotations/trimaps/{id}.png"},
        {"classes": {"class_1": 1, "class_2": 2, "class_3": 3}, "background": []},
    ),
}  # fmt: skip


@pytest.fixture
def losslab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command, run in an empty folder: what it prints."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["losslab", *map(str, words)])
        command_line.main()
        return capsys.readouterr().out

    return run


def error_of(losslab: Any, *words: object) -> str:
    with pytest.raises(command_line.InputError) as error:
        losslab("data", *words)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised_and_its_entry_is_read(name: str, losslab: Any, tmp_path: Path) -> None:
    make, form, download, extract = FORMATS[name]
    make(tmp_path / name)
    said = losslab("data", tmp_path / name)
    lines, _, entry = said.partition("\n\n")
    told = dict(line.split(":", 1) for line in lines.splitlines())
    assert told["format"].strip() == form
    assert len(lines.splitlines()) <= 13
    assert told["duplicates"].strip() == "none between splits"
    assert told["unreadable"].strip() == "none"
    spec = yaml.safe_load(entry)[name]
    assert spec["download"].items() >= download.items()
    assert spec["extract"].items() >= extract.items()
    assert data.registry.complete(spec)["kind"] == spec["kind"]
    with Image.open(f"{name}.png") as sheet:
        assert min(sheet.size) > 200


def test_what_is_said_is_so(losslab: Any, tmp_path: Path) -> None:
    layouts_world.voc(tmp_path / "voc")
    shutil.copy(tmp_path / "voc/JPEGImages/2007_000000.jpg", tmp_path / "voc/JPEGImages/2007_000007.jpg")
    (tmp_path / "voc/JPEGImages/2007_000001.jpg").write_bytes(b"no image")
    lines = losslab("data", tmp_path / "voc").splitlines()
    told = {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines[:11]}
    assert told["images"].startswith("9 with masks, 3 left out")
    assert told["sizes"] == "24×24 to 24×24, the middle one 24×24"
    assert told["classes"] == "3, which exclude each other"
    assert told["void"] == "25.0% of the pixels"
    assert told["duplicates"] == "val JPEGImages/2007_000007.jpg is train JPEGImages/2007_000000.jpg"
    assert told["unreadable"] == "JPEGImages/2007_000001.jpg (not_an_image)"


def test_an_archive_is_looked_at_as_its_folder_is(losslab: Any, tmp_path: Path) -> None:
    layouts_world.cvat(tmp_path / "task")
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "task"))
    spec = yaml.safe_load(losslab("data", archive).partition("\n\n")[2])["export"]
    assert spec["download"]["images"] == str(archive)
    assert spec["extract"]["classes"] == {"cat": "#fa3253", "dog": "#33ddff"}


def test_write_puts_the_entry_into_params_and_leaves_the_rest(losslab: Any, tmp_path: Path) -> None:
    before = "# mine\ngrid:\n  datasets: [a]\ndatasets:\n  # the first\n  a: {kind: coco}  # one\ntrain: {}\n"
    Path("params.yaml").write_text(before, encoding="utf-8")
    layouts_world.cvat(tmp_path / "my task")
    said = losslab("data", tmp_path / "my task", "--write", "--image-size", 16, "--sheet", "look.png")
    assert "entry:       datasets.my_task in params.yaml; name it in grid.datasets" in said
    after = Path("params.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(after)["datasets"]["my_task"]["extract"]["image_size"] == 16
    lines = after.splitlines()
    assert [line for line in before.splitlines() if line not in lines] == []
    assert Path("look.png").is_file()
    assert error_of(losslab, tmp_path / "my task", "--write") == (
        "params.yaml: datasets.my_task is there already; give another name by --name"
    )
    losslab("data", tmp_path / "my task", "--write", "--name", "again")
    assert yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["datasets"].keys() == {
        "a",
        "my_task",
        "again",
    }


def test_without_params_nothing_is_written(losslab: Any, tmp_path: Path) -> None:
    layouts_world.cvat(tmp_path / "task")
    assert error_of(losslab, tmp_path / "task", "--write").startswith("params.yaml: not found; run this where it is")


def test_what_is_no_data_set_is_one_line(losslab: Any, tmp_path: Path) -> None:
    assert error_of(losslab, tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: not found"
    folder = tmp_path / "set"
    folder.mkdir()
    assert "holds no images: neither a data.yaml, nor outlines in JSON" in error_of(losslab, folder)
    for index in range(3):
        layouts_world.save(folder / f"images/{index}.png", layouts_world.photo(index))
    assert "holds 3 images, such as images/0.png, and no mask files that belong to them" in error_of(losslab, folder)
    (folder / "a.json").write_text("{}")
    assert "not in COCO's format: it needs images, annotations and categories" in error_of(losslab, folder / "a.json")


def test_a_palette_without_its_label_file_still_has_its_colours_and_a_bad_one_names_its_line(
    losslab: Any, tmp_path: Path
) -> None:
    layouts_world.cvat(tmp_path / "task")
    label_file = tmp_path / "task/labelmap.txt"
    label_file.write_text("cat:250,50,83::\ndog:51,221::\n")
    assert error_of(losslab, tmp_path / "task").endswith(
        "labelmap.txt: line 2: not `label:red,green,blue::`: 'dog:51,221::'"
    )
    label_file.unlink()
    spec = yaml.safe_load(losslab("data", tmp_path / "task").partition("\n\n")[2])["task"]
    assert set(spec["extract"]["classes"].values()) == {"#fa3253", "#33ddff"}


def test_masks_with_more_values_than_classes_can_be_are_refused(losslab: Any, tmp_path: Path) -> None:
    for index in range(3):
        layouts_world.save(tmp_path / f"set/images/{index}.png", layouts_world.photo(index))
        ramp = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) % 255
        layouts_world.save(tmp_path / f"set/masks/{index}.png", Image.fromarray(ramp.astype(np.uint8)))
    assert "no mask files that belong to them by name" in error_of(losslab, tmp_path / "set")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_stand_in_of_each_format_goes_from_the_command_to_the_report(project: Project, tmp_path: Path) -> None:
    names = ("yolo", "coco", "carvana", "voc", "cvat", "label_studio")
    for name in names:
        FORMATS[name][0](tmp_path / name)
        done = project.run(
            sys.executable, "-m", "losslab", "data", str(tmp_path / name), "--write", "--image-size", "32",
            PYTHONPATH="src",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    project.set(lambda params: params["grid"].update(datasets=list(names), losses=["bce"]))
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        assert project.run(*command).returncode == 0
    assert {f"train@{name}-unet-bce" for name in names} <= set(project.repro())
    page = (project.root / "results/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in (*names, "class_20", "dog", "person"))
