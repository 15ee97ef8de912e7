"""Every image of every split is written, or counted and listed; too many that cannot be read are an error."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from losslab.data import tensors
from losslab.data.extraction import Extracted, SplitImages, write_splits
from losslab.errors import InputError

PIXELS = (np.full((3, 2, 2), 7, np.uint8), np.ones((1, 2, 2), np.uint8))


def write(out: Path, *images: Extracted, most: int | None = 2) -> dict[str, object]:
    """A split with the images and, first, one more; the content of extract.json."""
    splits = {"val": SplitImages("theirs", [("0", PIXELS), *images], {"not_drawn": 3, "of_no_image": 0})}
    write_splits(out, "set", ["one"], splits, {"source_images": 9}, most)
    account: dict[str, object] = json.loads((out / "extract.json").read_text())
    return account


def test_images_are_written_and_the_others_counted_and_listed(tmp_path: Path) -> None:
    assert write(tmp_path, (1, "damaged"), (2, PIXELS), (3, "damaged")) == {
        "source_images": 9,
        "splits": {"val": {"kept": 2, "left_out": {"not_drawn": 3, "damaged": 2}}},
        "unreadable": [{"split": "val", "id": number, "reason": "damaged"} for number in (1, 3)],
    }
    split = tensors.read(tmp_path / "val.safetensors")
    assert (split.ids, split.classes, split.dataset, split.source) == (("0", "2"), ("one",), "set", "theirs")
    np.testing.assert_array_equal(split.images[1], PIXELS[0])


def test_there_is_no_list_where_every_image_is_known_to_be_readable(tmp_path: Path) -> None:
    assert write(tmp_path, most=None).keys() == {"source_images", "splits"}


def test_too_many_unreadable_images_are_an_error_that_lists_them_over_all_splits(tmp_path: Path) -> None:
    splits = {name: SplitImages(name, [(0, PIXELS), (1, "missing")]) for name in ("train", "val")}
    write_splits(tmp_path / "two", "set", ["one"], splits, {}, 2)
    with pytest.raises(InputError, match=r"cannot be read: train 1 \(missing\), val 1 \(missing\)$"):
        write_splits(tmp_path / "one", "set", ["one"], splits, {}, 1)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["train.safetensors"]


def test_a_split_of_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    split = SplitImages("theirs", [(1, "missing"), (2, "missing")], {"not_drawn": 3})
    with pytest.raises(InputError, match=r"^no image of val is left: {'not_drawn': 3, 'missing': 2}$"):
        write_splits(tmp_path, "set", ["one"], {"val": split}, {}, 5)


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
