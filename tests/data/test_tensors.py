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
    masks = rng.choice(np.array([0, 1, 255], np.uint8), (count, planes, side, side))
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
        about = json.loads(file.metadata()["losslab"])
        assert (about["ids"], about["exclusive"]) == (list(split.ids), False)
    assert [p.name for p in path.parent.iterdir()] == ["train.safetensors"]


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_labels_are_kept_as_they_are_and_read_as_planes(
    tmp_path_factory: pytest.TempPathFactory, count: int, classes: int, side: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "train.safetensors"
    rng = np.random.default_rng(count * classes + side)
    labels = rng.choice(np.array([*range(classes), 255], np.uint8), (count, side, side + 1))
    names = tuple("abcdef"[:classes])
    with tensors.Writer(path, dataset="d", classes=names, source="s", padded=True) as writer:
        for index in range(count):
            writer.append(str(index), np.zeros((3, side, side + 1), np.uint8), labels[index])
    split, theirs = tensors.read(path), load_file(path)
    assert theirs.keys() == {"images", "labels"}
    np.testing.assert_array_equal(theirs["labels"], labels)
    assert (split.exclusive, split.padded, split.classes) == (True, True, names)
    known = labels != 255
    for c in range(classes):
        np.testing.assert_array_equal(split.masks[:, c][known], (labels == c)[known])
        np.testing.assert_array_equal(split.pixels[0][:, c], (labels == c).sum(axis=(1, 2)))
        np.testing.assert_array_equal(split.pixels[1][:, c], known.sum(axis=(1, 2)))
    assert (split.masks[:, :, ...].transpose(0, 2, 3, 1)[~known] == 255).all()
    np.testing.assert_array_equal(split.masks_of([0]), split.masks[:1])
    assert split.has_void == bool((~known).any())


@pytest.mark.parametrize(
    ("truth", "classes", "message"),
    [
        (np.array([[[[0, 2], [1, 255]]]]), ("a",), "s: image 0 has masks other than of 0, 1 and 255"),
        (np.array([[[0, 2], [1, 255]]]), ("a", "b"), "s: image 0 has labels other than 0 to 1 and 255"),
    ],
)
def test_a_value_of_no_class_is_neither_written_nor_read(
    tmp_path: Path, truth: np.ndarray, classes: tuple[str, ...], message: str
) -> None:
    split = tensors.Split(np.zeros((1, 3, 2, 2), np.uint8), truth.astype(np.uint8), "s", classes, ("0",), "")
    with pytest.raises(InputError, match=message):
        _ = split.has_void
    with (
        pytest.raises(ValueError, match="0: has values other than"),
        tensors.Writer(tmp_path / "x", dataset="s", classes=classes, source="") as writer,
    ):
        writer.append("0", split.images[0], split.truth[0])


def test_images_are_spread_by_what_is_not_background() -> None:
    labels = np.zeros((5, 2, 2), np.uint8)
    for index, share in enumerate((3, 0, 4, 1, 2)):
        labels[index].flat[:share] = 1
    split = tensors.Split(np.zeros((5, 3, 2, 2), np.uint8), labels, "s", ("background", "a"), tuple("01234"), "")
    assert tensors.spread(split, 3) == [1, 4, 2]


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
        hostile({}, json.dumps(ABOUT | {"exclusive": True})),
        hostile({}, json.dumps(ABOUT | {"padded": "yes"})),
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        (3).to_bytes(8, "little") + b"[1]",
    ],
    ids=range(18),
)
def test_a_hostile_header_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.safetensors: damaged"):
        tensors.read(path)


def test_images_drawn_by_a_seed_are_the_same_for_all_and_others_for_another(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    with tensors.Writer(path, dataset="d", classes=("c",), source="s") as writer:
        for index in range(9):
            writer.append(str(index), np.full((3, 2, 2), index, np.uint8), np.full((1, 2, 2), index % 2, np.uint8))
    split = tensors.read(path)
    drawn = [split.drawn(4, seed) for seed in (0, 0, 1)]
    assert drawn[0].ids == drawn[1].ids != drawn[2].ids
    for each in drawn:
        numbers = [int(name) for name in each.ids]
        assert numbers == sorted(set(numbers))
        assert each.images[:, 0, 0, 0].tolist() == numbers
        assert each.truth[:, 0, 0, 0].tolist() == [number % 2 for number in numbers]
    assert split.drawn(99, 0).ids == split.ids
