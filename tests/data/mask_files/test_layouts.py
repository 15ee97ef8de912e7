"""The layouts of well-known data sets and tools, from stand-ins that are made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction import dataset, run
from layouts_world import SIDE, ade20k, camvid, cityscapes, drive, label_map, pets, voc, write_text

from losslab.errors import InputError

LAYOUTS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], tuple[str, ...], dict[str, int]]] = {
    "voc": (
        voc,
        {"image_names": "JPEGImages/{id}.jpg", "mask_names": "SegmentationClass/{id}.png",
         "lists": "ImageSets/Segmentation/{split}.txt", "train": "train", "test": "val", "val_share": 0.2},
        {"classes": {"aeroplane": 1, "tvmonitor": 20}, "void": [255]},
        ("background", "aeroplane", "tvmonitor"),
        {"train": 5, "val": 1, "test": 4},
    ),
    "pets": (
        pets,
        {"image_names": "images/{id}.jpg", "mask_names": "annotations/trimaps/{id}.png",
         "lists": "annotations/{split}.txt", "train": "trainval", "test": "test", "val_share": 0.2},
        {"classes": {"pet": 1}, "background": [2], "void": [3]},
        ("pet",),
        {"train": 6, "val": 1, "test": 3},
    ),
    "cityscapes": (
        cityscapes,
        {"image_names": "leftImg8bit/{split}/{id}_leftImg8bit.png",
         "mask_names": "gtFine/{split}/{id}_gtFine_labelIds.png", "train": "train", "test": "val", "val_share": 0.25},
        {"classes": {"road": 7, "car": 26}, "background": [], "void": [0, 4]},
        ("road", "car"),
        {"train": 6, "val": 2, "test": 4},
    ),
    "camvid": (
        camvid,
        {"image_names": "{split}/{id}.png", "mask_names": "{split}_labels/{id}_L.png",
         "train": "train", "val": "val", "test": "test"},
        {"classes": {"sky": "#808080", "building": "#800000", "road": "#804080"}, "background": [],
         "void": ["#000000"]},
        ("sky", "building", "road"),
        {"train": 3, "val": 3, "test": 3},
    ),
    "ade20k": (
        ade20k,
        {"image_names": "images/{split}/{id}.jpg", "mask_names": "annotations/{split}/{id}.png",
         "train": "training", "test": "validation", "val_share": 0.25},
        {"classes": {"wall": 1, "building": 2}, "background": [], "void": [0]},
        ("wall", "building"),
        {"train": 6, "val": 2, "test": 8},
    ),
    "drive": (
        drive,
        {"image_names": "{split}/images/{id}_{split}.tif", "mask_names": "{split}/1st_manual/{id}_manual1.gif",
         "train": "training", "test": "test", "val_share": 0.2},
        {"classes": {"vessel": "nonzero"}},
        ("vessel",),
        {"train": 5, "val": 1, "test": 6},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_by_patterns_labels_and_lists(tmp_path: Path, layout: str) -> None:
    make, download, extract, classes, counts = LAYOUTS[layout]
    make(tmp_path / "set")
    options = {"image_size": SIDE, "workers": 1} | extract
    splits, _ = run(dataset("mask_folder", {"images": str(tmp_path / "set")} | download, options), tmp_path / "w")
    assert {name: len(split.ids) for name, split in splits.items()} == counts
    for split in splits.values():
        assert split.classes == classes
        assert split.exclusive == (len(classes) > 1)
        assert (split.truth == 255).any() == ("void" in extract)
    if layout == "voc":
        index = int(splits["test"].ids[0][16:22])
        whole = label_map(index, (0, 1, 255, 20))
        np.testing.assert_array_equal(splits["test"].truth[0], np.where(whole == 20, 2, whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lists": "lists/{split}.txt"}, r"holds no lists/train\.txt; see download\.lists"),
        ({"test": "both"}, r"both\.txt lists 2007_000000, which is in train too"),
        ({"test": "more"}, r"more\.txt lists 1999_000000, of which there is no image"),
    ],
)
def test_a_list_that_cannot_be_is_one_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    make, download, extract, *_ = LAYOUTS["voc"]
    make(tmp_path / "set")
    write_text(tmp_path / "set/ImageSets/Segmentation/both.txt", ["2007_000000"])
    write_text(tmp_path / "set/ImageSets/Segmentation/more.txt", ["2007_000007", "1999_000000"])
    options = {"image_size": SIDE, "workers": 1} | extract
    with pytest.raises(InputError, match=message):
        run(dataset("mask_folder", {"images": str(tmp_path / "set")} | download | change, options), tmp_path / "w")


def test_lists_without_a_place_for_the_split_are_refused() -> None:
    _, download, extract, *_ = LAYOUTS["voc"]
    with pytest.raises(ValueError, match=r"needs \{split\}, which then stands in no name of an image"):
        dataset("mask_folder", {"images": "x"} | download | {"lists": "all.txt"}, {"image_size": SIDE} | extract)
