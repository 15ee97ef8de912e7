"""The layouts of well-known data sets and tools, from stand-ins that are made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction import dataset, run
from mask_world import palette_image
from PIL import Image

from losslab.errors import InputError

SIDE = 24


def label_map(index: int, labels: tuple[int, ...]) -> np.ndarray:
    """Bands of the labels in turn, the first of them at the top, moved by the index."""
    rows = (np.arange(SIDE) + index) * len(labels) // SIDE % len(labels)
    return np.array(labels, np.uint8)[rows][:, None].repeat(SIDE, axis=1)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8))


def write_text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def voc(root: Path) -> None:
    """Pascal VOC 2012: palette images of class numbers, 255 between objects; lists name the images of each split, and
    more images than these have no mask."""
    for index in range(12):
        save(root / f"JPEGImages/2007_{index:06}.jpg", photo(index))
        if index < 10:
            palette = [(k, 2 * k % 256, 3 * k % 256) for k in range(256)]
            mask = palette_image(label_map(index, (0, 1, 255, 20)), *palette)
            save(root / f"SegmentationClass/2007_{index:06}.png", mask)
    write_text(root / "ImageSets/Segmentation/train.txt", [f"2007_{index:06}" for index in range(6)])
    write_text(root / "ImageSets/Segmentation/val.txt", [f"2007_{index:06}" for index in range(6, 10)])


def pets(root: Path) -> None:
    """Oxford-IIIT Pet: trimaps of 1 (pet), 2 (background) and 3 (border); lists whose lines have more than a name."""
    names = [f"{breed}_{index}" for index in range(5) for breed in ("Abyssinian", "beagle")]
    for index, name in enumerate(names):
        save(root / f"images/{name}.jpg", photo(index))
        save(root / f"annotations/trimaps/{name}.png", Image.fromarray(label_map(index, (1, 3, 2))))
    write_text(root / "annotations/trainval.txt", [f"{name} 1 1 1" for name in names[:7]])
    write_text(root / "annotations/test.txt", [f"{name} 2 1 2" for name in names[7:]])


def cityscapes(root: Path) -> None:
    """Cityscapes: a folder for each town, label numbers of which some are never scored."""
    for split, town in (("train", "aachen"), ("train", "bochum"), ("val", "lindau")):
        for index in range(4):
            name = f"{town}/{town}_{index:06}_000019"
            save(root / f"leftImg8bit/{split}/{name}_leftImg8bit.png", photo(10 * ord(town[0]) + index))
            mask = Image.fromarray(label_map(index, (7, 26, 0, 4)))
            save(root / f"gtFine/{split}/{name}_gtFine_labelIds.png", mask)
            save(root / f"gtFine/{split}/{name}_gtFine_instanceIds.png", mask)


def camvid(root: Path) -> None:
    """CamVid: colours, of which black is void; a folder for each split's images, and for its masks."""
    colours = np.zeros((4, 3), np.uint8)
    colours[:3] = [[128, 128, 128], [128, 0, 0], [128, 64, 128]]
    for start, split in ((0, "train"), (6, "val"), (9, "test")):
        for index in range(start, start + 3):
            save(root / f"{split}/0001TP_{index:06}.png", photo(index))
            mask = Image.fromarray(colours[label_map(index, (0, 1, 2, 3))])
            save(root / f"{split}_labels/0001TP_{index:06}_L.png", mask)


def ade20k(root: Path) -> None:
    """ADE20K's scene parsing benchmark: 0 is what has no label."""
    for start, split in ((0, "training"), (8, "validation")):
        for index in range(start, start + 8):
            save(root / f"images/{split}/ADE_{index:08}.jpg", photo(index))
            save(root / f"annotations/{split}/ADE_{index:08}.png", Image.fromarray(label_map(index, (0, 1, 2))))


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
        assert (split.truth == 255).any()
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
