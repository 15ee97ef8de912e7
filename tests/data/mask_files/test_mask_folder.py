"""Images and mask files by name: what ends in which split, and what a mask file means."""

import io
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_world import Server
from extraction import contents, dataset, run
from mask_world import SIDE, carvana, palette_image, photo, shape
from PIL import Image
from pydantic import ValidationError

from losslab.errors import InputError
from losslab.settings.schema import explain

CARVANA = {"image_names": "train/{id}.jpg", "mask_names": "train_masks/{id}_mask.gif", "val_share": 0.25,
           "test_share": 0.25}  # fmt: skip
CAR = {"image_size": 8, "classes": {"car": "nonzero"}, "workers": 1}


def reduced(mask: np.ndarray, size: int) -> np.ndarray:
    """Every pixel repeated `size` times both ways, then plain block means: slow and exact."""
    tall = np.repeat(mask.astype(np.int64), size, axis=0).reshape(size, mask.shape[0], -1).sum(axis=1)
    wide = np.repeat(tall, size, axis=1).reshape(size, size, mask.shape[1]).sum(axis=2)
    return (2 * wide >= mask.size).astype(np.uint8)


def most_covering(labels: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """What covers most of each small pixel: of equals the last, 255 before all others. Slow and exact."""
    width = width or height
    big = np.repeat(np.repeat(labels, height, axis=0), width, axis=1)
    blocks = big.reshape(height, labels.shape[0], width, labels.shape[1])
    values = sorted(np.unique(labels).tolist(), key=lambda value: (value != 255, value))
    covered = np.stack([(blocks == value).sum(axis=(1, 3)) for value in values])
    return np.array(values)[len(values) - 1 - covered[::-1].argmax(axis=0)]


def test_carvana_becomes_binary_masks_reduced_by_area(tmp_path: Path) -> None:
    made = dataset("mask_folder", {"images": str(carvana(tmp_path / "set"))} | CARVANA, CAR)
    splits, account = run(made, tmp_path / "work")
    assert {name: len(split.ids) for name, split in splits.items()} == {"train": 6, "val": 3, "test": 3}
    assert len({name for split in splits.values() for name in split.ids}) == 12
    for split in splits.values():
        assert split.classes == ("car",)
        for name, image, mask in zip(split.ids, split.images, split.masks, strict=True):
            index = int(Path(name).name[:3])
            np.testing.assert_array_equal(mask[0], reduced(shape(index), 8))
            with Image.open(tmp_path / "set" / name) as original:
                small = np.asarray(original.resize((8, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            assert np.abs(image.astype(int) - small).max() <= 60, "a draft of the JPEG, then antialiased"
    assert account["source_masks"] == 12


def packed(folder: Path, path: Path) -> Path:
    names = [p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.write(folder / name, name)
            archive.writestr("__MACOSX/train/._000_01.jpg", b"left by a packer")
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name in names:
                tar.add(folder / name, f"./{name}")
    return path


def test_folder_zip_tar_and_url_give_the_same(tmp_path: Path, server: Server) -> None:
    folder = carvana(tmp_path / "set")
    archive = packed(folder, tmp_path / "set.zip")
    server.files["/set.zip"] = archive.read_bytes()
    written = []
    for number, source in enumerate(
        (folder, archive, packed(folder, tmp_path / "set.tar.gz"), f"{server.url}/set.zip", f"{server.url}/set.zip")
    ):
        run(dataset("mask_folder", {"images": str(source)} | CARVANA, CAR), tmp_path / str(number))
        written.append(contents(tmp_path / str(number)))
    assert all(content == written[0] for content in written)
    assert server.counts["/set.zip"] == 1, "fetched once"


def test_two_archives_as_the_competition_gives_them(tmp_path: Path) -> None:
    folder = carvana(tmp_path / "set")
    for part in ("train", "train_masks"):
        with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as archive:
            for path in sorted((folder / part).iterdir()):
                archive.write(path, f"{part}/{path.name}")
    both = {"images": str(tmp_path / "train.zip"), "masks": str(tmp_path / "train_masks.zip")}
    run(dataset("mask_folder", both | CARVANA, CAR), tmp_path / "zips")
    run(dataset("mask_folder", {"images": str(folder)} | CARVANA, CAR), tmp_path / "folder")
    assert contents(tmp_path / "zips") == contents(tmp_path / "folder")


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    folder = carvana(tmp_path / "set", 40)
    for workers in (1, 2):
        made = dataset("mask_folder", {"images": str(folder)} | CARVANA, CAR | {"workers": workers})
        run(made, tmp_path / str(workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_own_splits_by_folder_or_by_name(tmp_path: Path) -> None:
    for index in range(12):
        split = ("training", "validation", "testing", "more")[index % 4]
        for part, image in (("img", photo(index)), ("lab", Image.fromarray(255 * shape(index)))):
            path = tmp_path / "set" / part / split / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    download = {"images": str(tmp_path / "set"), "train": "training", "val": "valid*", "test": "testing"}
    download |= {"image_names": "img/{split}/{id}.png", "mask_names": "lab/{split}/{id}.png"}
    splits, account = run(dataset("mask_folder", download, CAR), tmp_path / "folders")
    assert [Path(name).stem for name in splits["val"].ids] == ["1", "5", "9"]
    assert account["splits"]["train"] == {"kept": 3, "left_out": {"other_split": 3}}

    for path in list((tmp_path / "set").rglob("*.png")):
        part, split, name = path.relative_to(tmp_path / "set").parts
        shutil.move(path, tmp_path / "set" / part / f"{split}_{name}")
    download |= {"image_names": "img/{split}_{id}.png", "mask_names": "lab/{split}_{id}.png"}
    again, _ = run(dataset("mask_folder", download, CAR), tmp_path / "names")
    for split in splits:
        np.testing.assert_array_equal(splits[split].masks, again[split].masks)


def label_maps(folder: Path, values: np.ndarray, save: Callable[[np.ndarray], Image.Image]) -> dict[str, Any]:
    """Nine images with one label map, in one folder: `1.png` and `1_lab.png`."""
    folder.mkdir()
    for index in range(9):
        photo(index).save(folder / f"{index}.png")
        save(values).save(folder / f"{index}_lab.png")
    return {"images": str(folder), "image_names": "{id}.png", "mask_names": "{id}_lab.png"}


MAP = np.zeros((SIDE, SIDE + 6), np.uint8)
MAP[:12, :15], MAP[:12, 15:], MAP[12:, :10], MAP[20:, 20:] = 1, 2, 7, 255
COLOURS = {0: (0, 0, 0), 1: (128, 64, 128), 2: (0, 0, 142), 7: (128, 64, 128), 255: (224, 224, 192)}
LUT = np.zeros((256, 3), np.uint8)
for value, colour in COLOURS.items():
    LUT[value] = colour


@pytest.mark.parametrize(
    ("save", "classes", "background"),
    [
        (lambda v: Image.fromarray(v), {"road": 1, "car": 2}, [0, 7, 255]),
        (lambda v: Image.fromarray(v.astype(np.uint16)), {"road": 1, "car": 2}, [0, 7, 255]),
        (lambda v: Image.fromarray(np.stack([v] * 3, axis=2)), {"road": 1, "car": 2}, [0, 7, 255]),
        (lambda v: palette_image(v, *map(tuple, LUT.tolist())), {"road": 1, "car": 2}, "rest"),
        (lambda v: Image.fromarray(LUT[np.where(v == 7, 0, v)]), {"road": "#804080", "car": "#00008e"}, "rest"),
        (
            lambda v: palette_image(np.where(v == 7, 0, v), *map(tuple, LUT.tolist())),
            {"road": "#804080", "car": "#00008e"},
            ["#000000", "#e0e0c0"],
        ),
    ],
    ids=["grey", "16 bit", "grey as colour", "palette by index", "colour", "palette by colour"],
)
def test_a_label_map_becomes_labels_of_its_classes_and_of_background(
    tmp_path: Path, save: Callable[[np.ndarray], Image.Image], classes: dict[str, Any], background: Any
) -> None:
    download = label_maps(tmp_path / "set", MAP, save)
    extract = {"image_size": 8, "classes": classes, "background": background, "workers": 1}
    splits, account = run(dataset("mask_folder", download, extract), tmp_path / "work")
    assert splits["train"].classes == ("background", "road", "car")
    expected = most_covering(np.where(MAP < 3, MAP, 0), 8)
    for labels in splits["train"].truth:
        np.testing.assert_array_equal(labels, expected)
    everywhere = 9 * int((MAP == 255).sum())
    assert everywhere in account["background_pixels"].values(), "what is background is counted"


@pytest.mark.parametrize(
    ("classes", "options", "names", "numbers"),
    [
        ({"road": 1, "car": 2}, {"void": [255], "background": [0, 7]}, ("background", "road", "car"), {1: 1, 2: 2}),
        ({"road": 1, "car": 2}, {"void": [255], "background": "rest"}, ("background", "road", "car"), {1: 1, 2: 2}),
        (
            {"sky": 0, "road": 1, "car": 2, "bus": 7},
            {"void": [255], "background": []},
            ("sky", "road", "car", "bus"),
            {1: 1, 2: 2, 7: 3},
        ),
        ({"road": 1, "car": 2}, {"void": [0, 7, 255], "background": []}, ("road", "car"), {0: 255, 1: 0, 2: 1, 7: 255}),
        ({"road": 1}, {"void": [255], "background": "rest"}, ("road",), {1: 1}),
    ],
)
@pytest.mark.parametrize("colours", [False, True])
def test_void_labels_are_unknown(
    tmp_path: Path,
    classes: dict[str, int],
    options: dict[str, Any],
    names: tuple[str, ...],
    numbers: dict[int, int],
    colours: bool,
) -> None:
    def form(label: Any) -> Any:
        red, green, blue = (label, 200, 255 - label)
        return f"#{red:02x}{green:02x}{blue:02x}" if colours and label != "rest" else label

    def save(values: np.ndarray) -> Image.Image:
        coloured = np.stack([values, np.full_like(values, 200), 255 - values], axis=-1)
        return Image.fromarray(coloured if colours else values)

    download = label_maps(tmp_path / "set", MAP, save)
    options = {key: value if value == "rest" else [form(label) for label in value] for key, value in options.items()}
    extract = {"classes": {name: form(label) for name, label in classes.items()}, "image_size": [8, 10], "workers": 1}
    splits, account = run(dataset("mask_folder", download, extract | options), tmp_path / "work")
    full = np.zeros_like(MAP)
    for label, number in (numbers | {255: 255}).items():
        full[label == MAP] = number
    assert splits["test"].classes == names
    assert splits["test"].exclusive == (len(classes) > 1)
    for truth in splits["test"].truth:
        np.testing.assert_array_equal(truth.reshape(8, 10), most_covering(full, 8, 10))
    assert account["void_pixels"][str(form(255))] == 9 * int((MAP == 255).sum())
    assert str(form(255)) not in account["background_pixels"]


@pytest.mark.parametrize("classes", [{"road": 1, "car": 2}, {"road": 1}])
def test_padding_keeps_the_shape_and_is_void(tmp_path: Path, classes: dict[str, int]) -> None:
    download = label_maps(tmp_path / "set", MAP, Image.fromarray)  # SIDE high, SIDE + 6 wide
    extract = {"image_size": [20, 26], "fit": "pad", "background": "rest", "classes": classes, "workers": 1}
    splits, account = run(dataset("mask_folder", download, extract), tmp_path / "work")
    full = np.where(len(classes) >= MAP, MAP, 0)
    height = round(26 * SIDE / (SIDE + 6)) if 26 / (SIDE + 6) < 20 / SIDE else 20
    width = min(26, round(20 * (SIDE + 6) / SIDE))
    top, left = (20 - height) // 2, (26 - width) // 2
    split = splits["train"]
    assert split.padded
    for image, truth in zip(split.images, split.truth, strict=True):
        inside = truth.reshape(20, 26)[top : top + height, left : left + width]
        np.testing.assert_array_equal(inside, most_covering(full, height, width))
        assert (truth == 255).sum() == 20 * 26 - height * width
        assert image.shape == (3, 20, 26)
        for edge, padding in ((image[:, top], image[:, :top]), (image[:, top + height - 1], image[:, top + height :])):
            assert (padding == edge[:, None]).all(), "the colours of the edge go on"
    known = {name: each["share"] for name, each in account["classes"]["train"].items()}
    assert known["road"] == pytest.approx(float((split.masks == 1).sum((0, 2, 3))[split.classes.index("road")])
                                          / float((split.truth != 255).sum()), abs=1e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("extract", "message"),
    [
        ({"classes": {"road": 1, "car": 2}}, r"has the label 7 in 120 of 720 pixels; give it a class"),
        ({"classes": {"road": 1}, "background": [0, 7, 255]}, r"has the label 2 in 180 of 720 pixels"),
        ({"classes": {"road": 1}, "void": [2, 255]}, r"has the label 7 in 120 of 720 pixels; .* background or void"),
        ({"classes": {"road": "#010101"}}, r"has the label #020202 in 180 of 720"),
    ],
)
def test_a_label_nobody_spoke_of_is_an_error(tmp_path: Path, extract: dict[str, Any], message: str) -> None:
    download = label_maps(tmp_path / "set", MAP, Image.fromarray)
    with pytest.raises(InputError, match=rf"_lab\.png: {message}"):
        run(dataset("mask_folder", download, {"image_size": 8, "workers": 1} | extract), tmp_path / "work")


def bomb(side: int) -> bytes:
    """A PNG that says it is of side × side pixels."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    content = bytearray(file.getvalue())
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def test_what_cannot_be_used_is_counted_and_listed(tmp_path: Path) -> None:
    folder = carvana(tmp_path / "set", 20)
    (folder / "train_masks/003_01_mask.gif").unlink()
    photo(99).save(folder / "train/no_mask_at_all.jpg")
    palette_image(shape(1), (0, 0, 0), (9, 9, 9)).save(folder / "train_masks/999_01_mask.gif")  # no such image
    photo(5).resize((9, 9)).save(folder / "train/005_01.jpg")
    path = folder / "train_masks/006_01_mask.gif"
    path.write_bytes(path.read_bytes()[:60])
    (folder / "train/007_01.jpg").write_bytes(b"text")
    many = np.arange(SIDE * (SIDE + 6), dtype=np.uint8).reshape(SIDE, -1)
    Image.fromarray(many).save(folder / "train_masks/008_01_mask.gif")
    (folder / "train_masks/009_01_mask.gif").write_bytes(bomb(60_000))
    made = dataset("mask_folder", {"images": str(folder)} | CARVANA, CAR)
    _, account = run(made, tmp_path / "work")
    assert account["source_images"] == 21
    assert account["source_masks"] == 20
    assert account["splits"]["train"]["left_out"]["no_mask"] == 2
    assert {(Path(entry["id"]).name[:3], entry["reason"]) for entry in account["unreadable"]} == {
        ("005", "size_disagrees"), ("006", "mask_damaged"), ("007", "not_an_image"), ("008", "mask_not_binary"),
        ("009", "mask_too_large"),
    }  # fmt: skip
    strict = dataset("mask_folder", {"images": str(folder)} | CARVANA, CAR | {"max_unreadable": 3})
    with pytest.raises(InputError, match=r"more than extract\.max_unreadable images cannot be read"):
        run(strict, tmp_path / "strict")


def test_an_empty_mask_is_kept(tmp_path: Path) -> None:
    folder = carvana(tmp_path / "set", 30)
    mask = min(folder.rglob("*_mask.gif"))
    Image.new("L", Image.open(mask).size).save(mask)
    splits, _ = run(dataset("mask_folder", {"images": str(folder)} | CARVANA, CAR), tmp_path / "work")
    assert sum(len(split.ids) for split in splits.values()) == 30
    empty = [
        name for split in splits.values() for name, one in zip(split.ids, split.masks, strict=True) if not one.any()
    ]
    assert [Path(name).stem for name in empty] == [mask.stem.removesuffix("_mask")]


def test_the_most_images_of_a_split_are_drawn_by_the_seed(tmp_path: Path) -> None:
    folder = str(carvana(tmp_path / "set", 30))
    some = {"max_images": {"train": 4, "val": 2, "test": 3}, "seed": 42}
    few, account = run(dataset("mask_folder", {"images": folder} | CARVANA | some, CAR), tmp_path / "few")
    more = some | {"max_images": {"train": 5, "val": 2, "test": 3}}
    larger, _ = run(dataset("mask_folder", {"images": folder} | CARVANA | more, CAR), tmp_path / "more")
    assert {name: len(split.ids) for name, split in few.items()} == {"train": 4, "val": 2, "test": 3}
    assert set(few["train"].ids) < set(larger["train"].ids)
    assert sum(split["left_out"]["not_drawn"] for split in account["splits"].values()) == 21


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image_names": "train/{id}.jpeg"},
            r"no file fits download\.image_names 'train/\{id\}\.jpeg'; it holds",
        ),
        ({"mask_names": "train_masks/{id}.gif"}, "no image has a mask: there is train/000_01.jpg, and train_masks/"),
        ({"mask_names": "masks/{id}_mask.gif"}, r"no file fits download\.mask_names"),
        ({"images": "elsewhere"}, "elsewhere: not found"),
        ({"images": "text.zip"}, "text.zip: neither a folder nor a whole zip or tar archive"),
        ({"image_names": "train/{id}_*.jpg", "mask_names": "train_masks/{id}_*.gif"}, "are both '000' to download"),
        (
            {"image_names": "{split}/{id}.jpg", "mask_names": "train_masks/{id}_mask.gif", "train": "tr*", "val": "*n"},
            r"download\.train and download\.val both fit the split 'train'",
        ),
        (
            {"image_names": "{split}/{id}.jpg", "train": "train", "test": "test"},
            r"no image is left for test: 12 of 13 have a mask, and 12 are of train, 0 are of test",
        ),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = carvana(tmp_path / "set")
    photo(1).save(folder / "train/000_02.jpg")
    Path("text.zip").write_text("no archive", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        run(dataset("mask_folder", {"images": str(folder)} | CARVANA | change, CAR), tmp_path / "work")


@pytest.mark.parametrize(
    ("download", "extract", "message"),
    [
        ({"image_names": "train/*.jpg"}, {}, "download.image_names: not a pattern with {id}, which may"),
        ({"mask_names": "{id}{name}.gif"}, {}, "download.mask_names: not a pattern with {id}, which may"),
        ({"image_names": "{split}/{id}.jpg"}, {}, "download.train: missing; name the source's training split"),
        ({"val": "val"}, {}, "download.image_names: has no place for a split, but"),
        ({}, {"classes": {"road": 1, "car": "#00008e"}}, "extract.classes: ids, or colours, or one class"),
        ({}, {"classes": {"road": "nonzero", "car": "nonzero"}}, "extract.classes: ids, or colours, or one class"),
        ({}, {"classes": {"road": 1, "car": 1}}, "extract.classes: the label 1 is given twice"),
        ({}, {"classes": {"road": 1}, "background": [0, 1]}, "extract.classes: the label 1 is given twice"),
        ({}, {"classes": {"road": 1}, "background": ["#000000"]}, "extract.background: is not in the form"),
        ({}, {"classes": {"road": 1}, "void": ["#000000"]}, "extract.void: is not in the form"),
        ({}, {"void": [255]}, "extract.void: is not in the form"),
        ({}, {"classes": {"road": 1}, "void": [1]}, "extract.classes: the label 1 is given twice"),
        ({}, {"classes": {"road": 1}, "void": [9], "background": [9]}, "extract.classes: the label 9 is given twice"),
        ({}, {"classes": {"background": 1, "car": 2}}, "extract.classes: background is what the labels under"),
        ({}, {"classes": {f"c{n}": n for n in range(1, 256)}}, "extract.classes: 256 are more than 255 classes"),
        *(
            ({}, {"image_size": size}, "extract.image_size: neither a side nor [height, width], each of 8 to 4096 pix")
            for size in (7, 4097, [8], [8, 7], [8, 9, 10], 8.5, True, "8")
        ),
        ({}, {"fit": "crop"}, "extract.fit: 'crop' is not one of 'stretch' or 'pad'"),
        ({}, {"classes": {"road": "red"}}, 'extract.classes.road: Input should be a number ≥ 0, "nonzero" or a colour'),
    ],
)
def test_params_that_do_not_go_together_are_named(
    download: dict[str, Any], extract: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        dataset("mask_folder", {"images": "set"} | CARVANA | download, CAR | extract)
    assert message in explain(caught.value, "params.yaml")
