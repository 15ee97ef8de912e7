"""Predicted masks, packed to bits: one safetensors file per run, tensor `masks` uint8 `[N, C, H, ceil(W / 8)]`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from losslab.errors import InputError
from losslab.results.files import atomic_file


def write(path: Path, masks: NDArray[np.bool_]) -> None:
    """Write boolean masks `[N, C, H, W]`, eight pixels a byte."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(save({"masks": np.packbits(masks, axis=-1)}))


def read(path: Path, width: int) -> NDArray[np.bool_]:
    """Masks `[N, C, H, width]`.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return np.unpackbits(load_file(path)["masks"], axis=-1, count=width).view(np.bool_)
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); remove it and run `dvc repro`") from None
