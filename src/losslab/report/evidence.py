"""All that the report says of one data set with one network, read from what the other stages left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from losslab.data import tensors
from losslab.errors import InputError
from losslab.evaluation.aggregates import Floats, image_means
from losslab.evaluation.formulas import dice
from losslab.results import history, paths, predictions, scores, standings, tuning_table
from losslab.results.standings import Standing, Verdict, ranking_rule
from losslab.results.tuning_table import Tuning
from losslab.settings.params import Params
from losslab.settings.plans import Cell, seeds_of

Masks = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Evidence:
    """One data set and network: its leaderboard, histories, scores, test images, and where the predictions are."""

    dataset: str
    network: str
    losses: tuple[str, ...]
    baseline: str
    board: list[Standing]
    """Rows of every metric and threshold rule, in the order of the verdict."""
    verdict: Verdict
    histories: Mapping[str, list[history.Row]]
    dice: Mapping[str, Floats]
    """Loss → image Dice `[S, N]` at the rule that ranks; NaN where neither truth nor prediction holds anything.
    Losses without a model, or scored on other images than the test set's, are not in it."""
    test: tensors.Split
    analysis: Mapping[str, Any]
    trained: Mapping[str, tuple[int, ...]]
    """Loss → its seeds."""
    tuning: Mapping[str, Tuning]
    """What was tried, of losses that have been tuned."""

    def cell(self, loss: str) -> Cell:
        """The cell of the grid that a loss is here."""
        return Cell(self.dataset, self.network, loss)

    @cached_property
    def seeds(self) -> dict[str, list[int]]:
        """Loss → seeds whose predictions are there; losses without any are not in it."""
        scored = {
            loss: [seed for seed in self.trained[loss] if paths.predictions_file(self.cell(loss), seed).is_file()]
            for loss in self.dice
        }
        return {loss: seeds for loss, seeds in scored.items() if seeds}

    @property
    def rule(self) -> str:
        """The threshold rule that losses are ranked by."""
        return ranking_rule([row.threshold for row in self.board])

    @property
    def ranked(self) -> list[Standing]:
        """The row that ranks each loss, best first, losses without a model last."""
        return [row for row in self.board if row.decisive]

    def predicted(self, loss: str, seed: int) -> Masks:
        """Predicted masks `[N, shown, H, W]`, by the threshold rule that ranks."""
        path = paths.predictions_file(self.cell(loss), seed)
        test = self.test
        masks = predictions.read(path, test.images.shape[-1])
        if masks.shape != (shape := (len(test.ids), len(test.classes), *test.images.shape[2:])):
            raise InputError(f"{path}: masks {masks.shape}, the test set has {shape}; run `dvc repro`")
        return masks[:, self.shown]

    @property
    def shown(self) -> list[int]:
        """The classes that pictures show: all but background."""
        return [c for c, name in enumerate(self.test.classes) if name != tensors.BACKGROUND]

    @property
    def shown_names(self) -> list[str]:
        """Their names."""
        return [self.test.classes[c] for c in self.shown]

    def truth(self, images: NDArray[np.int64] | list[int]) -> Pixels:
        """Masks `[N, shown, H, W]` of 0, 1 and 255 of some test images."""
        return self.test.masks_of(images)[:, self.shown]

    @cached_property
    def shown_dice(self) -> Floats:
        """Image Dice `[losses with predictions, N]` of each loss's first seed, the one that figures show."""
        return np.stack([self.dice[loss][0] for loss in self.seeds]) if self.seeds else np.empty((0, 0))


def read(params: Params, dataset: str, network: str) -> Evidence:
    """Read what there is on one data set and network.

    Raises:
        InputError: something is missing or damaged.
    """
    test = tensors.read(paths.split_file(dataset, "test"))
    cells = {loss: Cell(dataset, network, loss) for loss in params.grid.losses}
    tables = {loss: scores.read(paths.scores_file(cell)) for loss, cell in cells.items()}
    board = [row for row in standings.read(paths.LEADERBOARD) if (row.dataset, row.network) == (dataset, network)]
    verdict = _verdict(dataset, network)
    return Evidence(
        dataset,
        network,
        params.grid.losses,
        params.compare.baseline,
        verdict.order(board),
        verdict,
        {loss: history.read(paths.history_file(cell)) for loss, cell in cells.items()},
        {
            loss: image_dice(table.counts[ranking_rule(list(table.counts))])
            for loss, table in tables.items()
            if (table.images, table.classes) == (test.ids, test.classes)
        },
        test,
        _analysis(paths.ANALYSIS).get(dataset, {}).get(network, {}),
        {loss: seeds_of(cell, params.train.seeds, params.grid) for loss, cell in cells.items()},
        _tuning(cells) if params.tune.trials else {},
    )


def image_dice(counts: scores.Counts) -> Floats:
    """Dice of each image over the classes in truth or prediction: counts `[S, N, C, 4]` → `[S, N]`, NaN for none."""
    return image_means(dice(*np.moveaxis(counts[..., :3].astype(np.float64), -1, 0)))


def _verdict(dataset: str, network: str) -> Verdict:
    for verdict in standings.read_verdicts(paths.VERDICTS):
        if (verdict.dataset, verdict.network) == (dataset, network):
            return verdict
    raise InputError(f"{paths.VERDICTS}: no verdict on {dataset} with {network}; run `dvc repro`")


def _tuning(cells: Mapping[str, Cell]) -> dict[str, Tuning]:
    tuned = {loss: tuning_table.read(paths.TUNE / cell.path) for loss, cell in cells.items()}
    return {loss: tuning for loss, tuning in tuned.items() if tuning is not None}


def _analysis(path: Path) -> dict[str, Any]:
    try:
        analysis: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); run `dvc repro`") from None
    return analysis
