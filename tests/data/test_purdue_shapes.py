"""The reader of PurdueShapes5MultiObject, on the real 20-image files and on hostile ones."""

import gzip
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from losslab import data
from losslab.data import tensors
from losslab.data.purdue_shapes import CLASSES, read_file
from losslab.errors import InputError

TRAIN, TEST = "PurdueShapes5MultiObject-20-train.gz", "PurdueShapes5MultiObject-20-test.gz"


def dataset(source: object, **extract: int) -> data.Dataset:
    sizes = {"train_images": 12, "val_images": 6, "test_images": 15} | extract
    return data.registry.build(
        {
            "kind": "purdue_shapes",
            "download": {"source": str(source), "train_file": TRAIN, "test_file": TEST},
            "extract": sizes,
        }
    )


def test_every_pixel_is_what_a_plain_unpickling_gives(shapes: Path) -> None:
    images, masks = read_file(shapes / TRAIN)
    with gzip.open(shapes / TRAIN) as file:
        records, labels = pickle.load(file, encoding="latin1")
    assert tuple(sorted(labels, key=labels.get)) == CLASSES
    for index in range(20):
        red, green, blue, planes, _ = records[index]
        np.testing.assert_array_equal(images[index].reshape(3, -1), [red, green, blue])
        for k in range(5):
            np.testing.assert_array_equal(masks[index, k], planes[k] == 50 * (k + 1))
    assert masks.dtype == np.uint8
    assert masks.max() == 1


def test_splits_are_disjoint_and_every_image_is_accounted_for(shapes: Path, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    shapes_set = dataset(shapes)
    shapes_set.fetch(raw)
    shapes_set.write_tensors(raw, out)
    splits = {name: tensors.read(out / f"{name}.safetensors") for name in ("train", "val", "test")}
    assert {name: len(split.images) for name, split in splits.items()} == {"train": 12, "val": 6, "test": 15}
    assert not set(splits["train"].ids) & set(splits["val"].ids)
    images, masks = read_file(raw / TRAIN)
    for index, name in enumerate(splits["val"].ids):
        np.testing.assert_array_equal(splits["val"].images[index], images[int(name)])
        np.testing.assert_array_equal(splits["val"].masks[index], masks[int(name)])
    about = json.loads((out / "extract.json").read_text())
    assert about["source_images"] == 40
    assert about["splits"]["train"] == {"kept": 12, "left_out": {"not_drawn": 2}}
    assert about["splits"]["test"] == {"kept": 15, "left_out": {"not_drawn": 5}}


@pytest.mark.parametrize("sizes", [{"train_images": 15}, {"test_images": 21}])
def test_more_images_than_there_are_is_an_error(shapes: Path, tmp_path: Path, sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"more than the 20 of Purdue"):
        dataset(shapes, **sizes).write_tensors(shapes, tmp_path)


class Exploit:
    """Unpickled, it would run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> object:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "owned"
    path = tmp_path / TRAIN
    path.write_bytes(gzip.compress(pickle.dumps((Exploit(f"touch {mark}"), {}), protocol)))
    with pytest.raises(InputError, match=r"asks for .*system, which no data file needs: refused"):
        read_file(path)
    assert not mark.exists()


@pytest.mark.parametrize("keep", [0, 10, 1000, 19000])
def test_a_truncated_file_is_named(shapes: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / TRAIN
    path.write_bytes((shapes / TRAIN).read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged, or not a PurdueShapes file"):
        read_file(path)


@pytest.mark.parametrize("content", [[1, 2], ({}, {}, {}), ({0: [1]}, {}), ({0: [[1], [2], [3], 4, 5]}, {}), "text"])
def test_a_pickle_of_something_else_is_named(tmp_path: Path, content: object) -> None:
    path = tmp_path / TRAIN
    path.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(InputError, match="damaged, or not a PurdueShapes file"):
        read_file(path)


def test_a_file_with_another_checksum_is_refused(shapes: Path, tmp_path: Path) -> None:
    for name in (TRAIN, TEST):
        (tmp_path / name).write_bytes((shapes / name).read_bytes() + b"x")
    with pytest.raises(InputError, match=r"is damaged: its md5 is not 8040835e"):
        dataset(tmp_path).fetch(tmp_path / "raw")


def test_a_folder_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"holds no file {TRAIN}"):
        dataset(tmp_path).fetch(tmp_path)


def test_no_number_of_training_images_means_all_that_validation_leaves(shapes: Path, tmp_path: Path) -> None:
    some, all_of_them = tmp_path / "some", tmp_path / "all"
    for out, options in ((some, {}), (all_of_them, {"train_images": None})):
        out.mkdir()
        dataset(shapes, **options).write_tensors(shapes, out)
    few, many = (set(tensors.read(out / "train.safetensors").ids) for out in (some, all_of_them))
    validation = [tensors.read(out / "val.safetensors").ids for out in (some, all_of_them)]
    assert validation[0] == validation[1], "and validation is what it was"
    assert few < many
    assert len(many) + len(validation[0]) == 20
