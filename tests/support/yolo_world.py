"""Data sets in YOLO's segmentation format, made on the spot."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

WIDTH, HEIGHT = 40, 30
CLASSES = ("car", "person")


def polygon(index: int) -> list[tuple[float, float]]:
    """Corners in shares of the sides: a square whose place depends on the index."""
    left, top = (3 + index % 9) / WIDTH, (2 + index % 7) / HEIGHT
    right, bottom = left + 20 / WIDTH, top + 14 / HEIGHT
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def line(number: int, corners: list[tuple[float, float]]) -> str:
    return " ".join([str(number), *(f"{value:.6f}" for corner in corners for value in corner)])


def write(folder: Path, splits: dict[str, int] | None = None, **description: Any) -> Path:
    """`images/<split>/000.png` and their labels: image i has a polygon of class i mod 2, every fifth none at all."""
    splits = splits or {"train": 12, "val": 4, "test": 5}
    start = 0
    for split, count in splits.items():
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True)
        for index in range(start, start + count):
            noise = np.random.default_rng(index).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"images/{split}/{index:03}.png")
            if index % 5 != 4:
                text = line(index % 2, polygon(index))
                (folder / f"labels/{split}/{index:03}.txt").write_text(text + "\n", encoding="utf-8")
        start += count
    content = {"path": "../datasets/mine", "names": dict(enumerate(CLASSES))}
    content |= {split: f"images/{split}" for split in splits}
    (folder / "data.yaml").write_text(yaml.safe_dump(content | description), encoding="utf-8")
    return folder
