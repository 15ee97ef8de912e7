"""The tensor store: other readers read it, damage is named, nothing half-written stays."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from losslab.data import tensors
from losslab.errors import InputError


def write(path: Path, count: int = 3, planes: int = 2, side: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count * planes + side)
    images = rng.integers(0, 256, (count, 3, side, side), np.uint8)
    masks = rng.integers(0, 2, (count, planes, side, side), np.uint8)
    with tensors.Writer(path, dataset="d", classes=tuple("abcdef"[:planes]), source="s") as writer:
        for index in range(count):
            writer.append(f"image {index}", images[index], masks[index])
    return images, masks


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read_by_us_and_by_safetensors(
    tmp_path_factory: pytest.TempPathFactory, count: int, planes: int, side: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "train.safetensors"
    images, masks = write(path, count, planes, side)
    split = tensors.read(path)
    theirs = load_file(path)
    for name, expected in (("images", images), ("masks", masks)):
        np.testing.assert_array_equal(getattr(split, name), expected)
        np.testing.assert_array_equal(theirs[name], expected)
    with safe_open(path, "np") as file:
        assert list(file.metadata()) == ["losslab"]
        assert json.loads(file.metadata()["losslab"])["ids"] == list(split.ids)
    assert [p.name for p in path.parent.iterdir()] == ["train.safetensors"]


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 8, 50, 200, -1])
def test_a_file_cut_short_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "train.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"train\.safetensors: damaged"):
        tensors.read(path)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_noise_is_named(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "train.safetensors"
    path.write_bytes(noise)
    with pytest.raises(InputError, match="damaged"):
        tensors.read(path)


ONE = (np.zeros((3, 2, 2), np.uint8), np.zeros((1, 2, 2), np.uint8))


def fail_after(path: Path, appended: int, failure: type[Exception] | None) -> None:
    with tensors.Writer(path, dataset="d", classes=("a",), source="s") as writer:
        for index in range(appended):
            writer.append(str(index), *ONE)
        if failure:
            raise failure


@pytest.mark.parametrize(("appended", "failure", "raised"), [(1, OSError, OSError), (0, None, InputError)])
def test_a_failure_or_an_empty_split_leaves_nothing(
    tmp_path: Path, appended: int, failure: type[Exception] | None, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        fail_after(tmp_path / "x", appended, failure)
    assert list(tmp_path.iterdir()) == []


IMAGES = {"dtype": "U8", "shape": [1, 3, 2, 2], "data_offsets": [0, 12]}
ABOUT = {"dataset": "d", "classes": ["a"], "ids": ["0"], "source": "s"}


def hostile(images: dict[str, object], about: str = json.dumps(ABOUT)) -> bytes:
    masks = {"dtype": "U8", "shape": [1, 1, 2, 2], "data_offsets": [12, 16]}
    header = json.dumps({"__metadata__": {"losslab": about}, "images": IMAGES | images, "masks": masks}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


def test_the_pattern_of_the_hostile_headers_is_good(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(hostile({}))
    assert tensors.read(tmp_path / "x").ids == ("0",)


@pytest.mark.parametrize(
    "content",
    [
        hostile({"shape": [2**40, 3, 2, 2], "data_offsets": [0, 12 * 2**40]}),
        hostile({"shape": [2**32, 2**32, 1, 1], "data_offsets": [0, 0]}),
        hostile({"data_offsets": [-20, -8]}),
        hostile({"data_offsets": [10**30, 10**30 + 12]}),
        hostile({"data_offsets": [1, 2, 3]}),
        hostile({"shape": [-1, -3, 2, 2]}),
        hostile({"shape": [1.0, 3, 2, 2]}),
        hostile({"shape": [[1], 3, 2, 2]}),
        hostile({"shape": "1322"}),
        hostile({"dtype": "F32"}),
        hostile({}, "[" * 10**5),
        hostile({}, "9" * 10**4),
        hostile({}, json.dumps(ABOUT | {"ids": [{}]})),
        hostile({}, json.dumps(ABOUT | {"classes": [1]})),
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        (3).to_bytes(8, "little") + b"[1]",
    ],
    ids=range(16),
)
def test_a_hostile_header_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.safetensors: damaged"):
        tensors.read(path)
