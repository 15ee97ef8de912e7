"""The score of every test image with every loss, for other tools: `case_id`, then a column a loss.

One file for each data set and network. Programs that compare algorithms case by case, such as those behind "Confidence
intervals uncovered" and its successors, read a column of case ids and one of each algorithm.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from losslab.comparison.loss_results import Comparison
from losslab.evaluation.aggregates import Floats, image_means
from losslab.evaluation.formulas import dice
from losslab.results import tables
from losslab.results.scores import Counts


def write(compared: Comparison, folder: Path) -> None:
    """`<data set>/<network>.csv` in a folder: image Dice by the threshold rule that ranks, mean over seeds.

    A cell is empty where neither truth nor prediction of any seed holds anything.
    """
    scored = {loss: result.scores for loss, result in compared.losses.items() if result.comparable and result.values}
    means = {loss: _image_dice(scores.counts[compared.rule]) for loss, scores in scored.items()}
    images = next(iter(scored.values())).images if scored else ()

    def rows() -> Iterator[list[str]]:
        for index, image in enumerate(images):
            yield [image, *("" if np.isnan(of[index]) else f"{of[index]:.6f}" for of in means.values())]

    tables.write(folder / compared.dataset / f"{compared.network}.csv", ["case_id", *means], rows())


def _image_dice(counts: Counts) -> Floats:
    """Mean over seeds: counts `[S, N, C, 4]` → `[N]`, NaN where no seed has a value."""
    values = image_means(dice(*np.moveaxis(counts[..., :3].astype(np.float64), -1, 0)))
    known = ~np.isnan(values)
    total, number = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    mean: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean
