"""What the tests of data kinds share: a data set as params.yaml gives it, fetched and extracted."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from losslab import data
from losslab.data import tensors


def dataset(kind: str, download: dict[str, Any], extract: dict[str, Any]) -> data.Dataset:
    return data.registry.build({"kind": kind, "download": download, "extract": extract})


def run(made: data.Dataset, folder: Path) -> tuple[dict[str, tensors.Split], dict[str, Any]]:
    """Fetch and extract in `folder`: the three splits, and extract.json, whose sums are checked."""
    raw, out = folder / "raw", folder / "out"
    raw.mkdir(parents=True)
    out.mkdir()
    made.fetch(raw)
    made.write_tensors(raw, out)
    account = json.loads((out / "extract.json").read_text())
    counted = sum(split["kept"] + sum(split["left_out"].values()) for split in account["splits"].values())
    assert counted == account["source_images"]
    splits = {name: tensors.read(out / f"{name}.safetensors") for name in ("train", "val", "test")}
    assert {name: len(split.ids) for name, split in splits.items()} == {
        name: split["kept"] for name, split in account["splits"].items()
    }
    for name, split in splits.items():
        counted, known = (each.sum(axis=0) for each in split.pixels)  # refuses values of no class
        shares = [account["classes"][name][each]["share"] for each in split.classes]
        np.testing.assert_allclose(shares, counted / np.maximum(known, 1), atol=1e-6)
    return splits, account


def contents(folder: Path) -> list[tuple[str, bytes]]:
    """Every file's name and bytes."""
    return [(str(p.relative_to(folder)), p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()]
