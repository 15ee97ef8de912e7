"""Every image of every split is written, or counted and listed; too many that cannot be read are an error."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from losslab.data import tensors
from losslab.data.extraction import Extracted, FileOptions, SplitImages, write_splits
from losslab.errors import InputError

PIXELS = (np.full((3, 2, 2), 7, np.uint8), np.ones((1, 2, 2), np.uint8))


def unreadable(most: int) -> FileOptions:
    return FileOptions(image_size=8, max_unreadable=most, max_duplicates=9)


def write(out: Path, *images: Extracted, options: FileOptions | None) -> dict[str, object]:
    """A split with the images and, first, one more; the content of extract.json."""
    splits = {"val": SplitImages("theirs", [("0", PIXELS), *images], {"not_drawn": 3, "of_no_image": 0})}
    write_splits(out, "set", ["one"], splits, {"source_images": 9}, options)
    account: dict[str, object] = json.loads((out / "extract.json").read_text())
    return account


def test_images_are_written_and_the_others_counted_and_listed(tmp_path: Path) -> None:
    assert write(tmp_path, (1, "damaged"), (2, PIXELS), (3, "damaged"), options=unreadable(2)) == {
        "source_images": 9,
        "splits": {"val": {"kept": 2, "left_out": {"not_drawn": 3, "damaged": 2}}},
        "unreadable": [{"split": "val", "id": number, "reason": "damaged"} for number in (1, 3)],
        "classes": {"val": {"one": {"images": 2, "share": 1.0}}},
        "absent_classes": {"val": []},
    }
    split = tensors.read(tmp_path / "val.safetensors")
    assert (split.ids, split.classes, split.dataset, split.source) == (("0", "2"), ("one",), "set", "theirs")
    np.testing.assert_array_equal(split.images[1], PIXELS[0])


def test_there_is_no_list_where_every_image_is_known_to_be_readable(tmp_path: Path) -> None:
    assert write(tmp_path, options=None).keys() == {"source_images", "splits", "classes", "absent_classes"}


def test_too_many_unreadable_images_are_an_error_that_lists_them_over_all_splits(tmp_path: Path) -> None:
    splits = {name: SplitImages(name, [(0, PIXELS), (1, "missing")]) for name in ("train", "val")}
    write_splits(tmp_path / "two", "set", ["one"], splits, {}, unreadable(2))
    with pytest.raises(InputError, match=r"cannot be read: train 1 \(missing\), val 1 \(missing\)$"):
        write_splits(tmp_path / "one", "set", ["one"], splits, {}, unreadable(1))
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["train.safetensors"]


def test_a_split_of_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    split = SplitImages("theirs", [(1, "missing"), (2, "missing")], {"not_drawn": 3})
    with pytest.raises(InputError, match=r"^no image of val is left: {'not_drawn': 3, 'missing': 2}$"):
        write_splits(tmp_path, "set", ["one"], {"val": split}, {}, unreadable(5))


def test_what_is_counted_while_images_are_read_is_in_the_account(tmp_path: Path) -> None:
    colours, sizes, left_out = Counter[str](), Counter[str](), Counter[str]()

    def images() -> Iterator[Extracted]:
        for number in range(3):
            colours["blue"] += 1
            sizes["large"] += 2
            left_out["hidden"] += 1
            yield number, PIXELS

    splits = {"train": SplitImages("theirs", images(), left_out, {"sizes": sizes})}
    write_splits(tmp_path, "set", ["one"], splits, {"colours": colours})
    account = json.loads((tmp_path / "extract.json").read_text())
    assert account["colours"] == {"blue": 3}
    assert account["splits"]["train"] == {"kept": 3, "left_out": {"hidden": 3}, "sizes": {"large": 6}}


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_split_in_which_every_mask_is_empty_is_one_line_that_names_it(tmp_path: Path, name: str) -> None:
    empty = (PIXELS[0], np.zeros((2, 2, 2), np.uint8))
    full = (PIXELS[0], np.ones((2, 2, 2), np.uint8))
    splits = {each: SplitImages(each, [("0", empty), ("1", full)]) for each in ("train", "val")}
    splits["test"] = SplitImages("test", [("0", empty)])
    write_splits(tmp_path / "fine", "set", ["one", "two"], splits, {})
    splits[name] = SplitImages(name, [("0", empty), ("1", empty)])
    with pytest.raises(InputError, match=f"^none of the 2 images of {name} shows anything of one, two: every mask is"):
        write_splits(tmp_path / "none", "set", ["one", "two"], splits, {})
    assert not (tmp_path / "none/extract.json").exists()


def test_an_image_of_which_nothing_is_known_is_left_out_and_counted(tmp_path: Path) -> None:
    void = (PIXELS[0], np.full((1, 2, 2), 255, np.uint8))
    account = write(tmp_path, ("1", void), ("2", PIXELS), options=unreadable(0))
    assert account["splits"] == {"val": {"kept": 2, "left_out": {"not_drawn": 3, "all_void": 1}}}
    assert tensors.read(tmp_path / "val.safetensors").ids == ("0", "2")


def test_shares_are_of_the_pixels_that_are_known(tmp_path: Path) -> None:
    mask = np.array([[[1, 1], [0, 255]], [[0, 255], [255, 255]]], np.uint8)
    labels = np.array([[2, 0], [2, 255]], np.uint8)
    for name, truth, shares in (("masks", mask, [2 / 3, 0]), ("labels", labels, [1 / 3, 0, 2 / 3])):
        classes = ["background", "one", "two"][-len(shares) :]
        write_splits(tmp_path / name, "set", classes, {"train": SplitImages("", [("0", (PIXELS[0], truth))])}, {})
        account = json.loads((tmp_path / name / "extract.json").read_text())["classes"]["train"]
        assert [each["share"] for each in account.values()] == pytest.approx(shares, abs=1e-6)
        assert [each["images"] for each in account.values()] == [int(share > 0) for share in shares]


def test_labels_of_background_alone_show_nothing(tmp_path: Path) -> None:
    splits = {"train": SplitImages("", [("0", (PIXELS[0], np.array([[0, 0], [255, 0]], np.uint8)))])}
    with pytest.raises(InputError, match="shows anything of background, one, two"):
        write_splits(tmp_path, "set", ["background", "one", "two"], splits, {})


def test_a_class_that_a_split_lacks_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def image(shade: int, *shown: int) -> tuple[np.ndarray, np.ndarray]:
        masks = np.zeros((4, 2, 2), np.uint8)
        masks[list(shown), 0] = 1
        return PIXELS[0] + np.uint8(shade), masks

    shown = {"train": (0, 1), "val": (0,), "test": (0, 2)}
    splits = {name: SplitImages(name, [("0", image(k, *classes))]) for k, (name, classes) in enumerate(shown.items())}
    write_splits(tmp_path, "set", ["both", "taught", "new", "none"], splits, {})
    assert capsys.readouterr().out.splitlines() == [
        "set: new: in no training image, so that nothing can learn it",
        "set: none: in no training image, so that nothing can learn it",
        "set: taught: in no test image, so that it is left out of every mean",
        "set: none: in no test image, so that it is left out of every mean",
    ]
    absent = json.loads((tmp_path / "extract.json").read_text())["absent_classes"]
    assert absent == {"train": ["new", "none"], "val": ["taught", "new", "none"], "test": ["taught", "none"]}


def of_seed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).integers(0, 256, (3, 4, 4), np.uint8), np.ones((1, 4, 4), np.uint8)


def in_two_splits() -> dict[str, SplitImages]:
    """Test has an image of train and one of val; train has one of its own twice, which is none of a test's business."""
    seeds = {"train": (0, 1, 1), "val": (2, 3), "test": (4, 0, 3)}
    return {name: SplitImages(name, [(seed, of_seed(seed)) for seed in of]) for name, of in seeds.items()}


def test_an_image_that_is_in_two_splits_is_an_error_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        write_splits(tmp_path, "set", ["one"], in_two_splits(), {}, FileOptions(image_size=8, max_duplicates=1))
    assert str(error.value) == (
        "set: 2 images are in two splits, more than extract.max_duplicates (1): test 0 is train 0, test 3 is val 3;"
        " a loss that learns them by heart would seem the best: take them out of one split, or allow them"
    )


@pytest.mark.parametrize("options", [FileOptions(image_size=8, max_duplicates=2), None])
def test_images_in_two_splits_that_are_allowed_are_said_and_listed(
    tmp_path: Path, options: FileOptions | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_splits(tmp_path, "set", ["one"], in_two_splits(), {}, options)
    assert json.loads((tmp_path / "extract.json").read_text())["duplicates"] == [
        {"split": "test", "id": "0", "same_as": "train 0"},
        {"split": "test", "id": "3", "same_as": "val 3"},
    ]
    assert "set: 2 in two splits: test 0 is train 0, test 3 is val 3" in capsys.readouterr().out
