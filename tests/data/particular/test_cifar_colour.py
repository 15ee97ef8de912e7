"""CIFAR-10 as colour prediction, from an archive in the official layout and hostile ones, all made here."""

import hashlib
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_world import COUNT, HORSE, LIGHTS, NAMES, archive, images, labels, python2_pickle
from coco_world import Server
from extraction import contents, dataset, run

from losslab.data import tensors
from losslab.data.particular import cifar_colour
from losslab.errors import InputError


@pytest.fixture(autouse=True)
def _small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_colour, "SAMPLE", 4000)


def cifar(source: object, md5: str | None = None, **extract: Any) -> Any:
    return dataset("cifar_colour", {"source": str(source), "md5": md5}, {"colours": 4, "val_images": 5} | extract)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_each_pixel_has_the_nearest_of_the_colours_found(tmp_path: Path) -> None:
    splits, account = run(cifar(written(tmp_path / "a.tar.gz", archive())), tmp_path / "work")
    colours = np.array(account["colours"])
    assert np.abs(np.sort(colours, axis=0) - np.sort(LIGHTS, axis=0)).max() <= 2
    assert splits["train"].classes == tuple("rgb_{:02x}{:02x}{:02x}".format(*colour) for colour in colours)
    for split, batch in (("train", None), ("val", None), ("test", 5)):
        for name, image, colour in zip(splits[split].ids, splits[split].images, splits[split].truth, strict=True):
            number = int(name) // COUNT if batch is None else batch
            index = int(name) % COUNT
            assert labels(number)[index] == HORSE
            original = images(number)[index].reshape(3, 32, 32).astype(float)
            np.testing.assert_array_equal(image, np.round(original.mean(axis=0))[None].repeat(3, axis=0))
            distances = ((original[None] - colours[:, :, None, None]) ** 2).sum(axis=1)
            np.testing.assert_array_equal(colour, distances.argmin(axis=0))


def test_every_image_is_accounted_for(tmp_path: Path) -> None:
    source = written(tmp_path / "a.tar.gz", archive())
    splits, account = run(cifar(source, train_images=9, test_images=3), tmp_path / "horse")
    assert not set(splits["train"].ids) & set(splits["val"].ids)
    assert account["source_images"] == 6 * COUNT
    assert account["splits"]["train"] == {"kept": 9, "left_out": {"other_category": 180, "not_drawn": 6}}
    assert account["splits"]["test"] == {"kept": 3, "left_out": {"other_category": 36, "not_drawn": 1}}
    _, account = run(cifar(source, category="all"), tmp_path / "all")
    assert {name: split["kept"] for name, split in account["splits"].items()} == {"train": 195, "val": 5, "test": 40}


def test_archive_url_and_folder_give_the_same(tmp_path: Path, server: Server) -> None:
    content = archive()
    server.files["/kriz/cifar-10-python.tar.gz"] = content
    md5 = hashlib.md5(content).hexdigest()
    (tmp_path / "set").mkdir()
    source = written(tmp_path / "set" / "cifar-10-python.tar.gz", content)
    subprocess.run(["tar", "-xf", source, "-C", tmp_path], check=True)
    places = (source, f"{server.url}/kriz/cifar-10-python.tar.gz", source.parent, tmp_path / "cifar-10-batches-py")
    for number, place in enumerate(places):
        run(cifar(place, md5), tmp_path / str(number))
        assert contents(tmp_path / str(number)) == contents(tmp_path / "0")


def test_a_wrong_checksum_is_an_error_and_the_file_is_not_kept(tmp_path: Path, server: Server) -> None:
    server.files["/a.tar.gz"] = content = archive()
    with pytest.raises(InputError, match=r"a\.tar\.gz: md5 is [0-9a-f]{32}, not c58f30108f718f92721af3b95e74349a"):
        run(dataset("cifar_colour", {"source": f"{server.url}/a.tar.gz"}, {}), tmp_path / "official")
    run(cifar(f"{server.url}/a.tar.gz", hashlib.md5(content).hexdigest()), tmp_path / "own")
    assert server.counts["/a.tar.gz"] == 2


def test_the_seed_fixes_colours_and_splits(tmp_path: Path) -> None:
    source = written(tmp_path / "a.tar.gz", archive())
    for number, seed in enumerate((1, 1, 2)):
        run(cifar(source, colours=6, seed=seed), tmp_path / str(number))
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    assert contents(tmp_path / "0" / "out") != contents(tmp_path / "2" / "out")


class Exploit:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> object:
        return os.system, ("touch owned",)


class Large:
    """Unpickled, it would make an array of a terabyte."""

    def __reduce__(self) -> object:
        return np.ndarray, ((1 << 40,), "u1")


nested: list[Any] = [0]
for _ in range(60):
    nested = [nested, nested]

GLOBAL = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Exploit(), 2), r"asks for .*system, which no data file needs: refused"),
        (pickle.dumps(Exploit(), 5), r"asks for .*system, which no data file needs: refused"),
        (pickle.dumps(Large(), 2), r"data_batch_1: damaged"),
        (GLOBAL + b"cnumpy\nndarray\nM\x00\xff\x85U\x01b\x87R.", "makes an array in a way that no data file needs"),
        (b"cnumpy\ndtype\nU\x01O\x85R.", "has an array of 'O', which are no numbers: refused"),
        (b"N" + b"r\xff\xff\xff\x7f.", "asks for 2147483647 places in memory, far more than it can fill: refused"),
        (pickle.dumps({"data": 1, "labels": 2}), "its images are not uint8 of 3 × 32 × 32"),
        (pickle.dumps([1, 2]), "damaged, or no CIFAR-10 batch"),
        (python2_pickle(images(0)[:, :3000], labels(0)), "its images are not uint8"),
        (python2_pickle(images(0), [*labels(0)[1:], 10]), "its labels are not one of 0 to 9 for each image"),
        (python2_pickle(images(0), labels(0)[1:]), "its labels are not one of 0 to 9 for each image"),
        (python2_pickle(images(0), labels(0)).replace(b"u.", b"U\x06labels" + pickle.dumps(nested, 2)[2:-1] + b"u."),
         "its labels are not one of 0 to 9"),
        (python2_pickle(images(0), labels(0))[:5000], "damaged, or no CIFAR-10 batch"),
        (b"", "damaged, or no CIFAR-10 batch"),
    ],
)  # fmt: skip
def test_a_hostile_or_damaged_batch_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    source = written(tmp_path / "a.tar.gz", archive(data_batch_1=content))
    with pytest.raises(InputError, match=message):
        run(cifar(source), tmp_path / "work")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "work/raw/data_batch_1").exists()


def test_an_archive_without_a_batch_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no data_batch_1"):
        run(cifar(tmp_path / "empty"), tmp_path / "work")


@pytest.mark.parametrize(
    ("extract", "message"),
    [
        ({"val_images": 20}, r"extract\.val_images: 20 leaves none of the 20 images for training"),
        ({"colours": 255}, None),
    ],
)
def test_too_much_asked_for_is_said(tmp_path: Path, extract: dict[str, int], message: str | None) -> None:
    flat = python2_pickle(np.full((COUNT, 3072), 9, np.uint8), labels(0))
    changes = {} if message else dict.fromkeys(NAMES, flat)
    source = written(tmp_path / "a.tar.gz", archive(**changes))
    with pytest.raises(InputError, match=message or r"extract\.colours: 255 is more than the 1 colours"):
        run(cifar(source, **extract), tmp_path / "work")


def test_the_tensors_are_those_of_the_contract(tmp_path: Path) -> None:
    run(cifar(written(tmp_path / "a.tar.gz", archive())), tmp_path / "work")
    split = tensors.read(tmp_path / "work/out/train.safetensors")
    assert split.images.shape[1:] == (3, 32, 32)
    assert split.truth.shape[1:] == (32, 32)
    assert split.exclusive
    assert split.dataset == "CIFAR-10 colours"
