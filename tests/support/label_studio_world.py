"""What Label Studio exports, made on the spot; strokes by an encoder of the test's own, which writes bits as text."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 40, 30
LABELS = ("cell", "dust")


def encode(alpha: NDArray[np.uint8], sizes: tuple[int, ...] = (3, 4, 8, 16), singles: bool = True) -> list[int]:
    """The run lengths of a stroke `[H, W]`, whose four channels are alike.

    Args:
        alpha: values of the fourth channel, and of the others.
        sizes: bits of the four kinds of length.
        singles: whether what is not repeated is put together in packets of literal values.
    """
    values = np.repeat(alpha.ravel(), 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)

    def packet(repeated: bool, length: int, content: list[int]) -> str:
        kind = next(k for k, size in enumerate(sizes) if length <= 2**size)
        return f"{int(repeated)}{kind:02b}{length - 1:0{sizes[kind]}b}" + "".join(f"{value:08b}" for value in content)

    most = 2 ** max(sizes)
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    literal: list[int] = []
    for value, length in [*runs, (-1, 0)]:
        if singles and 0 < length <= 4 and len(literal) + length <= most:
            literal += [value] * length
            continue
        if literal:
            bits += packet(False, len(literal), literal)
            literal = []
        for start in range(0, length, most):
            bits += packet(True, min(most, length - start), [value])
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def square(index: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what image `index` shows, in pixels."""
    left, top = 3 + index % 9, 2 + index % 7
    return left, top, left + 20, top + 14


def shown(index: int) -> NDArray[np.uint8]:
    """The same as a mask `[H, W]` of 0 and 1."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    left, top, right, bottom = square(index)
    mask[top:bottom, left:right] = 1
    return mask


def region(kind: str, label: str, **value: Any) -> dict[str, Any]:
    return {
        "id": "x1", "type": kind, "from_name": "tag", "to_name": "image", "image_rotation": 0, "origin": "manual",
        "original_width": WIDTH, "original_height": HEIGHT, "value": {**value, kind: [label]},
    }  # fmt: skip


def polygon(index: int, label: str) -> dict[str, Any]:
    left, top, right, bottom = square(index)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in corners]
    return region("polygonlabels", label, points=points, closed=True)


def stroke(index: int, label: str) -> dict[str, Any]:
    return region("brushlabels", label, format="rle", rle=encode(255 * shown(index)))


def task(index: int, results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    annotation = {"id": 100 + index, "completed_by": 1, "was_cancelled": False, "ground_truth": False}
    annotation |= {"updated_at": "2026-01-01T10:00:00.000000Z", "result": results}
    name = f"{index:08x}-{index:03}.png"
    whole = {"id": index, "annotations": [annotation], "data": {"image": f"/data/upload/3/{name}"}}
    return whole | {"file_upload": name, "predictions": [], "meta": {}} | more


def tasks(count: int) -> list[dict[str, Any]]:
    """Task i has label i mod 2, by a stroke or a polygon in turn; every fifth is submitted with nothing drawn."""
    drawn = [[(stroke if index % 4 < 2 else polygon)(index, LABELS[index % 2])] for index in range(count)]
    return [task(index, [] if index % 5 == 4 else results) for index, results in enumerate(drawn)]


def write(folder: Path, content: list[dict[str, Any]] | None = None) -> Path:
    """`project.json` and `images/000.png` and so on, as they were called before they were uploaded."""
    (folder / "images").mkdir(parents=True)
    content = tasks(20) if content is None else content
    for index in range(max(each["id"] for each in content) + 1):
        noise = np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"images/{index:03}.png")
    (folder / "project.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
