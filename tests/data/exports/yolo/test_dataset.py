"""YOLO's segmentation format: polygons as the kind `coco` draws them, and a line for whatever is wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from extraction import contents, dataset, run
from PIL import Image
from yolo_world import CLASSES, HEIGHT, WIDTH, line, polygon, write

from losslab import data
from losslab.errors import InputError


def made(source: object, workers: int = 1, **download: Any) -> data.Dataset:
    return dataset("yolo", {"source": str(source), **download}, {"image_size": 16, "workers": workers})


def test_polygons_become_planes_in_the_splits_that_are_named(tmp_path: Path) -> None:
    splits, account = run(made(write(tmp_path / "set")), tmp_path / "w")
    assert {name: len(split.ids) for name, split in splits.items()} == {"train": 12, "val": 4, "test": 5}
    assert (account["source_images"], account["images_without_labels"]) == (21, 4)
    for split in splits.values():
        assert (split.classes, split.exclusive) == (CLASSES, False)
        for name, masks in zip(split.ids, split.masks, strict=True):
            index = int(Path(name).stem)
            shown = [] if index % 5 == 4 else [index % 2]
            assert np.flatnonzero(masks.any(axis=(1, 2))).tolist() == shown


def test_masks_are_those_of_the_same_polygons_in_cocos_format(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"train": 30})
    records = [{"id": i, "width": WIDTH, "height": HEIGHT, "file_name": f"{i:03}.png"} for i in range(30)]
    annotations = []
    for index in (i for i in range(30) if i % 5 != 4):
        outline = [value for x, y in polygon(index) for value in (round(x, 6) * WIDTH, round(y, 6) * HEIGHT)]
        annotations.append(
            {
                "id": index,
                "image_id": index,
                "category_id": index % 2,
                "bbox": [3, 2, 20, 14],
                "segmentation": [outline],
            }
        )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
    file = {"images": records, "annotations": annotations, "categories": categories}
    (tmp_path / "all.json").write_text(json.dumps(file), encoding="utf-8")
    where = {"annotations": str(tmp_path / "all.json"), "images": str(folder / "images/train"), "train": "all"}
    extract = {"image_size": 16, "workers": 1, "planes": "per_class"}
    theirs, _ = run(dataset("coco", where | {"classes": CLASSES, "instances": "all"}, extract), tmp_path / "coco")
    ours, _ = run(made(folder), tmp_path / "yolo")

    def by_id(splits: dict[str, Any]) -> dict[int, np.ndarray]:
        parts = [(split.ids, split.masks) for split in splits.values()]
        return {
            int(Path(name).stem): masks for names, planes in parts for name, masks in zip(names, planes, strict=True)
        }

    expected, planes = by_id(theirs), by_id(ours)
    assert len(expected) == 24
    for index, masks in expected.items():
        np.testing.assert_array_equal(planes[index], masks)


def test_splits_that_are_not_named_are_drawn(tmp_path: Path) -> None:
    splits, account = run(made(write(tmp_path / "set", {"train": 20}), test_share=0.25, val_share=0.1), tmp_path / "w")
    assert {name: len(split.ids) for name, split in splits.items()} == {"train": 13, "val": 2, "test": 5}
    assert account["source_images"] == 20


@pytest.mark.parametrize("form", ["parent", "zip", "list", "names", "inside"])
def test_every_way_to_say_where_images_are_gives_the_same(tmp_path: Path, form: str) -> None:
    folder = write(tmp_path / "set")
    plain, _ = run(made(folder), tmp_path / "plain")
    source = folder
    description = yaml.safe_load((folder / "data.yaml").read_text())
    if form == "parent":  # as exports have it, which were trained on from a folder beside
        description |= {split: f"../images/{split}" for split in ("train", "val", "test")}
    if form == "list":
        for split in ("train", "val", "test"):
            names = sorted(path.name for path in (folder / "images" / split).iterdir())
            (folder / f"{split}.txt").write_text("".join(f"./images/{split}/{name}\n" for name in names))
            description[split] = f"{split}.txt"
    if form == "names":
        description |= {"names": list(CLASSES), "nc": 2, "path": None, "train": ["images/train"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(description))
    if form == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "set"), "zip", folder))
    if form == "inside":
        (tmp_path / "outer").mkdir()
        folder.rename(tmp_path / "outer/set")
        source = tmp_path / "outer"
    given, _ = run(made(source), tmp_path / form)
    for name, split in plain.items():
        np.testing.assert_array_equal(given[name].images, split.images)
        np.testing.assert_array_equal(given[name].masks, split.masks)


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"train": 40})
    for workers in (1, 2, 4):
        run(made(folder, workers), tmp_path / str(workers))
    one, two, four = (contents(tmp_path / str(workers) / "out") for workers in (1, 2, 4))
    assert one == two == four


def test_an_image_that_is_turned_by_its_exif_tag_is_turned_with_its_polygons(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    upright = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    upright[2:16, 3:23] = 220
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(upright)).save(folder / "images/train/000.png", exif=exif)
    (folder / "labels/train/000.txt").write_text(line(0, polygon(0)))
    splits, _ = run(made(folder), tmp_path / "w")
    [place] = [k for k, name in enumerate(splits["train"].ids) if name.endswith("000.png")]
    bright = splits["train"].images[place, 0] > 120
    assert (bright == splits["train"].masks[place, 0]).mean() > 0.97


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .1 .1 .5 .1 .5 .5 .1", "7 coordinates, an odd number: one is missing or too many"),
        (
            "0 .1 .1 .5 .1 .5 1.2",
            "the coordinate 1.2 is outside [0, 1]: they are shares of the image's width and height",
        ),
        ("0 .1 .1 .5 .1 .5 nan", "the coordinate nan is outside [0, 1]"),
        ("2 .1 .1 .5 .1 .5 .5", "class 2 is not among the 2 that are named, 0 to 1"),
        ("-1 .1 .1 .5 .1 .5 .5", "class -1 is not among the 2"),
        ("0 .5 .5 .2 .2", "a box, and polygons are wanted: export the data set for segmentation"),
        ("0", "0 corners are no polygon"),
        ("0 .5 .5", "1 corners are no polygon"),
        ("car .1 .1 .5 .1 .5 .5", "not a class and coordinates: 'car .1 .1 .5 .1 .5 .5'"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_line_that_is_wrong_is_an_error_that_names_it(tmp_path: Path, text: str, message: str, workers: int) -> None:
    folder = write(tmp_path / "set", {"train": 40})
    (folder / "labels/train/003.txt").write_text(line(1, polygon(3)) + "\n\n" + text)
    with pytest.raises(InputError) as error:
        run(made(folder, workers), tmp_path / "w")
    where = tmp_path / "w/raw/labels/labels/train/003.txt"
    assert str(error.value).startswith(f"{where}: line 3: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "names: neither a list of the classes nor a mapping from 0, 1, … to them"),
        ({"names": {1: "a", 2: "b"}}, "names: neither a list"),
        ({"names": ["a", "a"]}, "names: a class is named twice"),
        ({"names": ["a", "\x1b[31mb"]}, r"names: a class's name has control characters: '\x1b[31mb'"),
        ({"train": None}, "train: missing; it says where the training images are"),
        ({"train": "images/nowhere"}, "train: images/nowhere has no image in"),
        ({"train": "images/no\nwhere"}, r"train: images/no\nwhere has no image in"),
        ({"val": "images/train"}, "images/train/000.png is in train and in val"),
    ],
)
def test_a_description_that_is_wrong_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write(tmp_path / "set", **changes)
    with pytest.raises(InputError) as error:
        run(made(folder), tmp_path / "w")
    assert str(error.value).startswith(f"{folder}: data.yaml: {message}")


def test_a_folder_without_description_or_labels_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    with pytest.raises(InputError, match=r"holds no dataset\.yaml; did you mean 'data\.yaml'"):
        run(made(folder, description="dataset.yaml"), tmp_path / "v")
    shutil.rmtree(folder / "labels")
    with pytest.raises(InputError, match=r"none of the training images has labels; labels/train/000\.txt is missing"):
        run(made(folder), tmp_path / "w")
