"""Train, validation and test: which images of a source go where, drawn once by a seed."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from losslab.settings.schema import Section

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
