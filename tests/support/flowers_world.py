"""A small 17 Flowers, in the three files of the official one."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZES = ((30, 20), (18, 26))  # width, height: the images differ
WITHOUT = {7, 12}  # images without a trimap
LISTS = {
    "trn1": [1, 4, 7, 10], "val1": [2, 5, 8], "tst1": [3, 6, 9, 12],
    "trn2": [2, 5, 8, 11], "val2": [3, 6, 9], "tst2": [1, 4, 7, 10],
}  # fmt: skip
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def trimap(number: int) -> np.ndarray:
    """Palette indices: background 3, the flower 1, an unlabelled border of 2 pixels."""
    width, height = SIZES[number % 2]
    indices = np.full((height, width), 3, np.uint8)
    indices[2 : 14 + number % 4, 3:15] = 0
    indices[4 : 12 + number % 4, 5:13] = 1
    return indices


def encoded(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def packed(folder: str, files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        top = tarfile.TarInfo(folder)
        top.type = tarfile.DIRTYPE
        tar.addfile(top)
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def official(**changes: Any) -> dict[str, bytes]:
    """The three files as the official host has them, of 12 images; `changes` replace trimaps or lists."""
    jpg = {"files.txt": b"image_0001.jpg\n"}
    trimaps = {"imlist.mat": b"not read"}
    for number in range(1, 13):
        width, height = SIZES[number % 2]
        pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
        jpg[f"image_{number:04}.jpg"] = encoded(Image.fromarray(pixels), "JPEG")
        if number not in WITHOUT:
            image = Image.fromarray(trimap(number), "P")
            image.putpalette(PALETTE)
            trimaps[f"image_{number:04}.png"] = encoded(image, "PNG")
    trimaps |= changes.pop("trimaps", {})
    lists = LISTS | changes
    mat = io.BytesIO()
    savemat(mat, {name: np.array([numbers], np.uint16) for name, numbers in lists.items()}, do_compression=True)
    return {"17flowers.tgz": packed("jpg", jpg), "trimaps.tgz": packed("trimaps", trimaps),
            "datasplits.mat": mat.getvalue()}  # fmt: skip


def folder(path: Path, **changes: Any) -> Path:
    path.mkdir()
    for name, content in official(**changes).items():
        (path / name).write_bytes(content)
    return path
