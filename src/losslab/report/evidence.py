"""All that the report says of one data set, read from what the other stages left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from losslab import history, leaderboard, metrics, predictions, runs, scores, tried
from losslab.data import tensors
from losslab.errors import InputError
from losslab.params import Params

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """One data set: its leaderboard, histories, scores, test images, and where the predictions are."""

    dataset: str
    losses: tuple[str, ...]
    baseline: str
    board: list[leaderboard.Row]
    """Rows of every metric and threshold rule; losses with a model first, by tuned mIoU, the best one first."""
    histories: Mapping[str, list[history.Row]]
    dice: Mapping[str, Floats]
    """Loss → image Dice `[S, N]` at the tuned threshold; NaN where neither truth nor prediction holds anything. Losses
    without a model, or scored on other images than the test set's, are not in it."""
    test: tensors.Split
    analysis: Mapping[str, Any]
    tuning: Mapping[str, Mapping[tried.Setting, list[float]]]
    """Loss → setting → validation loss by epoch, of losses that have been tuned."""

    @cached_property
    def seeds(self) -> dict[str, list[int]]:
        """Loss → seeds whose predictions are there."""
        return {
            loss: sorted(int(path.stem.removeprefix("seed")) for path in folder.glob("seed*.safetensors"))
            for loss in self.dice
            if (folder := runs.predictions_folder(self.dataset, loss)).is_dir() and any(folder.iterdir())
        }

    @property
    def ranked(self) -> list[leaderboard.Row]:
        """Tuned mIoU of every loss, best first, losses without a model last."""
        return [row for row in self.board if (row.metric, row.threshold) == ("miou", "tuned")]

    def predicted(self, loss: str, seed: int) -> Masks:
        """Predicted masks `[N, C, H, W]` at the tuned threshold."""
        path = runs.predictions_folder(self.dataset, loss) / f"seed{seed}.safetensors"
        masks = predictions.read(path, self.test.masks.shape[-1])
        if masks.shape != self.test.masks.shape:
            raise InputError(f"{path}: masks {masks.shape}, the test set has {self.test.masks.shape}; run `dvc repro`")
        return masks

    @cached_property
    def shown_dice(self) -> Floats:
        """Image Dice `[losses with predictions, N]` of each loss's first seed, the one that figures show."""
        return np.stack([self.dice[loss][0] for loss in self.seeds]) if self.seeds else np.empty((0, 0))


def read(params: Params, dataset: str, folder: Path) -> Evidence:
    """Read what there is on one data set.

    Raises:
        InputError: something is missing or damaged.
    """
    test = tensors.read(runs.split_file(dataset, "test"))
    found = {loss: scores.read(runs.scores_file(dataset, loss)) for loss in params.grid.losses}
    board = [row for row in leaderboard.read(folder / "leaderboard.json") if row.dataset == dataset]
    score = {row.loss: row.mean for row in board if (row.metric, row.threshold) == ("miou", "tuned")}
    board.sort(key=lambda row: (score.get(row.loss) is None, -(score.get(row.loss) or 0.0)))
    return Evidence(
        dataset,
        params.grid.losses,
        params.compare.baseline,
        board,
        {loss: history.read(runs.history_file(dataset, loss)) for loss in params.grid.losses},
        {
            loss: image_dice(table.counts["tuned"])
            for loss, table in found.items()
            if (table.images, table.classes) == (test.ids, test.classes)
        },
        test,
        _analysis(folder / "analysis.json").get(dataset, {}),
        {loss: tried.read(path) for loss in params.grid.losses if (path := runs.tuning_file(dataset, loss)).is_file()},
    )


def image_dice(counts: NDArray[np.int64]) -> Floats:
    """Dice of each image over the classes in truth or prediction: counts `[S, N, C, 4]` → `[S, N]`, NaN for none."""
    per_class = metrics.dice(*np.moveaxis(counts[..., :3].astype(np.float64), -1, 0))
    there = ~np.isnan(per_class)
    mean: Floats = np.nansum(per_class, axis=-1) / np.where(there.any(-1), there.sum(-1), np.nan)
    return mean


def _analysis(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); run `dvc repro`") from None
    return found
