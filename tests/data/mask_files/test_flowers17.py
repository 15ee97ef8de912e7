"""17 Flowers, from archives in the official layout that are made here."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_world import Server
from extraction import contents, dataset, run
from flowers_world import encoded, folder, official, trimap
from PIL import Image

from losslab.errors import InputError
from losslab.results.files import digest


def flowers(source: object, **download: Any) -> Any:
    return dataset("flowers17", {"source": str(source)} | download, {"image_size": 10, "workers": 1})


def test_only_images_with_a_trimap_count_in_the_official_splits(tmp_path: Path) -> None:
    splits, account = run(flowers(folder(tmp_path / "set")), tmp_path / "work")
    assert {name: [int(image[6:10]) for image in split.ids] for name, split in splits.items()} == {
        "train": [1, 4, 10], "val": [2, 5, 8], "test": [3, 6, 9],
    }  # fmt: skip
    assert account["splits"]["train"]["left_out"] == {"no_trimap": 1, "in_no_split": 1}
    assert account["splits"]["test"]["left_out"] == {"no_trimap": 1}
    assert (account["source_images"], account["source_masks"]) == (12, 10)


def test_the_flower_is_foreground_and_the_unlabelled_border_is_void_and_counted(tmp_path: Path) -> None:
    splits, account = run(flowers(folder(tmp_path / "set")), tmp_path / "work")
    unlabelled = 0
    for split in splits.values():
        assert split.classes == ("flower",)
        for name, mask in zip(split.ids, split.masks, strict=True):
            whole = trimap(int(name[6:10]))
            big = np.repeat(np.repeat(whole, 10, axis=0), 10, axis=1)
            blocks = big.reshape(10, whole.shape[0], 10, whole.shape[1])
            unknown, flower, rest = ((blocks == value).mean(axis=(1, 3)) for value in (0, 1, 3))
            void = unknown > np.maximum(flower, rest)
            np.testing.assert_array_equal(mask[0] == 255, void)
            np.testing.assert_array_equal(mask[0] == 1, (flower >= rest) & ~void)
            unlabelled += int((whole == 0).sum())
    assert account["void_pixels"]["#000000"] == unlabelled
    assert account["background_pixels"].keys() == {"#808000"}


def test_the_host_the_archives_and_the_unpacked_folder_give_the_same(tmp_path: Path, server: Server) -> None:
    source = folder(tmp_path / "set")
    server.files = {f"/flowers/17/{path.name}": path.read_bytes() for path in source.iterdir()}
    md5 = {path.name: digest(path) for path in source.iterdir()}
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    (unpacked / "datasplits.mat").write_bytes((source / "datasplits.mat").read_bytes())
    for name in ("17flowers.tgz", "trimaps.tgz"):
        subprocess.run(["tar", "-xf", source / name, "-C", unpacked], check=True)
    run(flowers(source, md5=md5), tmp_path / "0")
    run(flowers(f"{server.url}/flowers/17", md5=md5), tmp_path / "1")
    run(flowers(unpacked), tmp_path / "2")
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    assert contents(tmp_path / "0") == contents(tmp_path / "2")


def test_a_wrong_checksum_is_an_error_and_the_file_is_not_kept(tmp_path: Path, server: Server) -> None:
    server.files = {f"/{name}": content for name, content in official().items()}
    with pytest.raises(InputError, match=r"17flowers\.tgz: md5 is [0-9a-f]{32}, not 0{32}"):
        run(flowers(server.url, md5={"17flowers.tgz": "0" * 32}), tmp_path / "wrong")
    run(flowers(server.url), tmp_path / "right")
    assert server.counts["/17flowers.tgz"] == 2


def coloured(*colour: int) -> bytes:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:] = (128, 128, 0)
    pixels[3, 4] = colour
    return encoded(Image.fromarray(pixels), "PNG")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trimaps": {"image_0004.png": coloured(0, 0, 128)}}, r"image_0004\.png: has the label #000080 in 1 of 600"),
        ({"val1": [2, 5, 1]}, "image 1 is listed twice in partition 1"),
        ({"val1": [2, 5, 99]}, r"lacks image_0099\.jpg, which datasplits\.mat has in val"),
        ({"trn1": [1], "val1": [7]}, "has no trimap of any of the 1 images of val"),
        ({"trimaps": {"deep/image_0004.png": b""}}, r"holds both .*image_0004\.png"),
        ({"trimaps": {"../../image_0004.png": b""}}, "unsafe name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(flowers(folder(tmp_path / "set", **changes)), tmp_path / "work")


def test_a_partition_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"datasplits\.mat: has no list trn3 of image numbers"):
        run(flowers(folder(tmp_path / "set"), partition=3), tmp_path / "work")


@pytest.mark.parametrize("content", [b"", b"text", b"MATLAB 5.0 MAT-file" + bytes(200), bytes(1 << 19)])
def test_a_file_that_is_no_list_of_splits_is_named(tmp_path: Path, content: bytes) -> None:
    source = folder(tmp_path / "set")
    (source / "datasplits.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"datasplits\.mat: (damaged, or no MATLAB file|has more than|has no list)"):
        run(flowers(source), tmp_path / "work")
