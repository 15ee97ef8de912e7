"""Train, validation and test: which images of a source go where, drawn once by a seed, and kept in selection.json."""

from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from losslab.errors import InputError
from losslab.settings.schema import Count, Fraction, Section

S = TypeVar("S")

SPLITS = ("train", "val", "test")


class MaxImages(Section):
    """The most images of each split, drawn by the seed; none: all."""

    train: Count | None = None
    val: Count | None = None
    test: Count | None = None


class Draws(Section):
    """How images are drawn for the splits."""

    val_share: Fraction = 0.1
    test_share: Fraction = 0.2
    max_images: MaxImages = MaxImages()
    seed: NonNegativeInt = 0

    def draw(
        self, qualifying: dict[str, NDArray[np.int64]]
    ) -> dict[str, tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
        """Split → the split whose file it is from, the images drawn, and those of its own not drawn.

        A split that has no file of its own gets its share of the training file's qualifying images, `test` before
        `val`. Every draw is the beginning of one shuffle, so asking for more images keeps those that were there.
        """
        shuffled = {
            split: np.random.default_rng([self.seed, SPLITS.index(split)]).permutation(np.sort(indices))
            for split, indices in qualifying.items()
        }
        pools = {split: (split, indices) for split, indices in shuffled.items()}
        rest = shuffled["train"]
        for split, share in (("test", self.test_share), ("val", self.val_share)):
            if split not in pools:
                number = max(1, round(share * len(shuffled["train"])))
                pools[split], rest = ("train", rest[:number]), rest[number:]
        pools["train"] = ("train", rest)
        drawn = {}
        for split in SPLITS:
            origin, pool = pools[split]
            most = getattr(self.max_images, split) or len(pool)
            drawn[split] = origin, np.sort(pool[:most]), pool[most:]
        return drawn


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
