"""Train, validation and test: which images of a source go where, drawn once by a seed, and kept in selection.json."""

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from losslab.errors import InputError
from losslab.settings.schema import Section

S = TypeVar("S")

SPLITS = ("train", "val", "test")

Share = Annotated[float, Field(gt=0, lt=1)]
Most = Annotated[int, Field(ge=1)] | None


class MaxImages(Section):
    """The most images of each split, drawn by the seed; none: all."""

    train: Most = None
    val: Most = None
    test: Most = None


def draw(
    qualifying: dict[str, NDArray[np.int64]], shares: dict[str, float], most: dict[str, int | None], seed: int
) -> dict[str, tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Split → the split whose file it is from, the images drawn, and those of its own not drawn.

    A split that has no file of its own gets its share of the training file's qualifying images, `test` before `val`.
    Every draw is the beginning of one shuffle, so asking for more images keeps those that were there.
    """
    shuffled = {
        split: np.random.default_rng([seed, SPLITS.index(split)]).permutation(np.sort(indices))
        for split, indices in qualifying.items()
    }
    rest = shuffled["train"]
    pools: dict[str, tuple[str, NDArray[np.int64]]] = {}
    for split in ("test", "val"):
        if split in shuffled:
            pools[split] = (split, shuffled[split])
        else:
            number = max(1, round(shares[split] * len(shuffled["train"])))
            pools[split], rest = ("train", rest[:number]), rest[number:]
    pools["train"] = ("train", rest)
    return {
        split: (origin, np.sort(pool[: most[split]]), pool[len(pool) if most[split] is None else most[split] :])
        for split, (origin, pool) in ((split, pools[split]) for split in SPLITS)
    }


def write_selection(raw: Path, selection: msgspec.Struct) -> None:
    """Keep in the folder `raw` what a fetch selected, for the extraction."""
    (raw / "selection.json").write_bytes(msgspec.json.encode(selection))


def read_selection(raw: Path, kind: type[S]) -> S:
    """What the fetch into `raw` selected.

    Raises:
        InputError: `raw` has no selection, or a damaged one.
    """
    path = raw / "selection.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None
