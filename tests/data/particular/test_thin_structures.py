"""Drawn thin structures: thin, broken in the image alone, and the same on every machine."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from losslab import data
from losslab.data import tensors
from losslab.data.particular import thin_structures
from losslab.data.particular.thin_structures import Extract
from losslab.data.particular.trees import tree

COUNTS = {"train_images": 4, "val_images": 2, "test_images": 3}
EVERYTHING_TOUCHES = np.ones((3, 3))


def written(out: Path, **options: Any) -> dict[str, tensors.Split]:
    raw = out / "raw"
    raw.mkdir(parents=True)
    extract = COUNTS | {"image_size": 48} | options
    made = data.registry.build({"kind": "thin_structures", "download": {}, "extract": extract})
    made.fetch(raw)
    made.write_tensors(raw, out)
    return {name: tensors.read(out / f"{name}.safetensors") for name in ("train", "val", "test")}


def drawings(number: int, **options: Any) -> list[tuple[tensors.Array, tensors.Array]]:
    settings = Extract(**COUNTS, **options)
    return [thin_structures.drawing(np.random.default_rng(seed), settings) for seed in range(number)]


def test_splits_have_the_images_asked_for_and_share_none(tmp_path: Path) -> None:
    splits = written(tmp_path)
    assert [len(split.images) for split in splits.values()] == [4, 2, 3]
    assert splits["train"].images.shape == (4, 3, 48, 48)
    assert splits["train"].classes == ("structure",)
    account = json.loads((tmp_path / "extract.json").read_text())
    assert account["synthetic"] is True
    assert "duplicates" not in account


def test_more_images_and_another_seed(tmp_path: Path) -> None:
    few, many = written(tmp_path / "few"), written(tmp_path / "many", train_images=6)
    other = written(tmp_path / "other", seed=1)
    np.testing.assert_array_equal(many["train"].images[:4], few["train"].images)
    np.testing.assert_array_equal(many["test"].masks, few["test"].masks)
    assert (other["train"].masks != few["train"].masks).any()


def test_the_bytes_are_those_of_every_other_machine() -> None:
    whole = hashlib.sha256()
    for image, mask in drawings(3, image_size=64):
        whole.update(image.tobytes() + mask.tobytes())
    assert whole.hexdigest() == "fba7b315f4a8da47e0d8ce4e931194fa4f80403ac5987f0c55f4ac5b4d879fd6"


def test_nothing_is_wider_than_three_pixels_but_where_branches_meet() -> None:
    masks = np.concatenate([mask for _, mask in drawings(12)])
    inner = np.stack([ndimage.binary_erosion(mask, EVERYTHING_TOUCHES) for mask in masks])
    assert 0.04 < masks.mean() < 0.15
    # A cross of five has no pixel whose eight neighbours are all of it; what is left is where branches lie together.
    assert inner.sum() < 0.2 * masks.sum()


def test_a_tree_is_one_piece_and_breaks_are_in_the_image_alone() -> None:
    pieces = []
    for seed in range(12):
        truth, visible = np.zeros((2, 96, 96), bool)
        for branch in tree(np.random.default_rng(seed), 96, (0.3, 0.5), breaks=4):
            rows, columns, darkness = branch.pixels(96)
            truth[rows, columns] = True
            visible[rows[darkness > 0], columns[darkness > 0]] = True
        assert ndimage.label(truth, EVERYTHING_TOUCHES)[1] == 1
        pieces.append(ndimage.label(visible, EVERYTHING_TOUCHES)[1])
    assert np.median(pieces) >= 3


def test_branches_are_darker_than_what_lies_beside_them() -> None:
    calm = {"noise": 0, "distractors": 0, "breaks": 0, "contrast": (0.4, 0.4)}
    for image, mask in drawings(6, **calm):
        near = ndimage.binary_dilation(mask[0], iterations=5) & ~ndimage.binary_dilation(mask[0], iterations=2)
        assert image[:, mask[0] == 1].mean() < 0.85 * image[:, near].mean()


def test_distractors_and_noise_change_the_image_and_not_the_truth() -> None:
    calm = {"noise": 0, "distractors": 0}
    for option in ({"noise": 30}, {"distractors": 12}):
        for (image, mask), (calm_image, calm_mask) in zip(
            drawings(4, **calm | option), drawings(4, **calm), strict=True
        ):
            np.testing.assert_array_equal(mask, calm_mask)
            assert (image != calm_image).mean() > 0.01


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("contrast", [0.5, 0.2], "the least is more than the most"),
        ("image_size", 16, "greater than or equal to 32"),
        ("train_images", None, "valid integer"),
        ("breaks", -1, "greater than or equal to 0"),
        ("contast", [0, 1], "did you mean 'contrast'"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, option: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=rf"extract\.{option}\n.*{message}"):
        written(tmp_path, **{option: value})
