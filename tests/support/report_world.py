"""Small results as the stages leave them, written through the library without any training."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from projects import ROOT

from losslab.comparison import headline
from losslab.data import tensors
from losslab.data.splits import SPLITS
from losslab.evaluation.aggregates import Draws, unweighted
from losslab.evaluation.metrics import METRICS
from losslab.results import history, paths, predictions, scores
from losslab.results.files import write_json
from losslab.results.standings import Pair, Standing, Verdict
from losslab.settings import params
from losslab.settings.plans import Cell, ReportPlan, cells

SIDE = 32
HOSTILE = "</script><img src=x onerror='window.hacked=1'>\"&{{ 7 * 7 }}"


def results(
    root: Path,
    *,
    datasets: Sequence[str] = ("shapes",),
    networks: Sequence[str] = ("unet",),
    losses: Sequence[str] = ("bce", "dice", "mse"),
    seeds: Sequence[int] = (0, 1, 2),
    classes: Sequence[str] = ("disk", HOSTILE),
    images: int = 12,
    diverged: Sequence[str] = (),
) -> ReportPlan:
    """Fill `root`, the working folder, with everything that the report reads; the plan of the report.

    With the first network the losses come in the order given; with each further one, the last of them comes first.

    Args:
        diverged: losses of which every seed diverged.
    """
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["grid"] = {"datasets": list(datasets), "networks": list(networks), "losses": list(losses)}
    raw["datasets"] = dict.fromkeys(datasets, raw["datasets"]["shapes"])
    raw["networks"] = dict.fromkeys(networks, raw["networks"]["unet"])
    raw["compare"]["baseline"] = losses[0]
    raw["train"]["seeds"] = list(seeds)
    raw["report"]["images"] = 2
    (root / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    settings = params.load(path=root / "params.yaml")
    truth = _truth(images, len(classes))
    for dataset in datasets:
        _write_data(dataset, truth, classes)
    board: list[Standing] = []
    for cell in cells(settings.grid):
        first = networks.index(cell.network)
        place = (losses.index(cell.loss) + first) % len(losses)
        counts: dict[int, dict[str, Any]] = {}
        for seed in () if cell.loss in diverged else seeds:
            masks = _spoilt(truth, place, seed)
            predictions.write(paths.predictions_file(cell, seed), masks)
            counts[seed] = {"fixed": _counts(truth, _spoilt(masks, 1, seed)), "tuned": _counts(truth, masks)}
        scores.write(paths.scores_file(cell), [f"test{index}" for index in range(images)], classes, counts)
        history.write(paths.history_file(cell), _history(seeds, cell.loss in diverged))
        board += _board(cell, losses[0], scores.read(paths.scores_file(cell)), len(seeds), diverged)
    write_json(paths.LEADERBOARD, [asdict(row) for row in board])
    verdicts = []
    for dataset in datasets:
        for network in networks:
            rows = [row for row in board if (row.dataset, row.network) == (dataset, network)]
            verdicts.append(asdict(_verdict(dataset, network, rows, settings.compare)))
    write_json(paths.VERDICTS, verdicts)
    analysed = {network: analysis(losses, classes, diverged) for network in networks}
    write_json(paths.ANALYSIS, dict.fromkeys(datasets, analysed))
    return ReportPlan(code="", params=settings, train_code={str(cell): "0" * 32 for cell in cells(settings.grid)})


def _write_data(dataset: str, truth: NDArray[np.bool_], classes: Sequence[str]) -> None:
    """Tensors of every split, photographs brighter where there is an object, and the account of the extraction."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        with tensors.Writer(
            paths.TENSORS / dataset / f"{split}.safetensors", dataset="made", classes=tuple(classes), source="made"
        ) as out:
            for index, mask in enumerate(truth):
                photograph = rng.integers(0, 60, (3, SIDE, SIDE)) + 150 * mask.any(0)
                out.append(f"{split}{index}", photograph.astype(np.uint8), mask.astype(np.uint8))
    account = {"kept": len(truth), "left_out": {"no_object": 3}}
    write_json(
        paths.TENSORS / dataset / "extract.json",
        {"source_images": 3 * len(truth) + 9, "splits": dict.fromkeys(SPLITS, account)},
    )


def analysis(losses: Sequence[str], classes: Sequence[str], diverged: Sequence[str] = ()) -> dict[str, Any]:
    """What `compare` says beside the leaderboard."""

    def numbers(loss: str, place: int) -> dict[str, float | None]:
        mean = None if loss in diverged else 0.5 + 0.1 * place
        return {"mean": mean, "low": mean and mean - 0.05, "high": mean and mean + 0.05}

    sizes = {"small": (1, 20), "large": (21, 99)}
    return {
        "classes": [{"loss": o, "class": c, **numbers(o, i)} for o in losses for i, c in enumerate(classes)],
        "sizes": [
            {"loss": o, "size": size, "objects": 9, "smallest_area": a, "largest_area": b, **numbers(o, i)}
            for o in losses
            for i, (size, (a, b)) in enumerate(sizes.items())
        ],
        "threshold_gain": [{"loss": o, **numbers(o, 0)} for o in losses],
        "time_to_quality": [
            {"loss": o, "percent": percent, "target": 0.5, "epochs": 2.0, "reached": 2, "runs": 3}
            for percent in (90, 99)
            for o in losses
        ],
        "families": [
            {"name": "a family", "x_label": "weight", "members": [{"loss": o, "x": i} for i, o in enumerate(losses)]}
        ],
    }


def _truth(images: int, classes: int) -> NDArray[np.bool_]:
    """A disk of class i mod C in image i, larger from image to image."""
    y, x = np.mgrid[:SIDE, :SIDE]
    truth = np.zeros((images, classes, SIDE, SIDE), np.bool_)
    for index in range(images):
        truth[index, index % classes] = (x - 14) ** 2 + (y - 12) ** 2 <= (3 + index % 9) ** 2
    return truth


def _spoilt(masks: NDArray[np.bool_], place: int, seed: int) -> NDArray[np.bool_]:
    """Masks moved by `place` pixels and, in every fourth image, turned upside down."""
    moved = np.roll(masks, place, axis=-1)
    if place:
        moved[seed % 4 :: 4] = moved[seed % 4 :: 4, :, ::-1]
    return moved


def _counts(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.int64]:
    outcomes = (truth & predicted, ~truth & predicted, truth & ~predicted, ~truth & ~predicted)
    return np.stack([outcome.sum((2, 3)) for outcome in outcomes], axis=-1)


def _history(seeds: Sequence[int], diverged: bool) -> list[history.Row]:
    rows = []
    for seed in seeds:
        for epoch in (1, 2):
            rows += [
                history.Row(seed, epoch, 10 * epoch - 5, "train", "loss", 1.0 / epoch + 0.01 * seed),
                history.Row(seed, epoch, 10 * epoch, "train", "loss", 0.9 / epoch + 0.01 * seed),
            ]
            if diverged:
                rows.append(history.Row(seed, epoch, 10 * epoch, "train", "diverged", 1.0))
                break
            for metric, value in (("loss", 1.1), ("miou", 0.3), ("miou_tuned", 0.4)):
                rows.append(history.Row(seed, epoch, 10 * epoch, "val", metric, value * epoch / 2 + 0.02 * seed))
    return rows


def _board(cell: Cell, baseline: str, table: scores.Scores, seeds: int, diverged: Sequence[str]) -> list[Standing]:
    """Rows with the true means, and made-up intervals and verdicts."""
    rows = []
    for metric in ("miou", "dice", "image_dice"):
        for threshold in scores.THRESHOLDS:
            row = Standing(*cell.names, metric, threshold, images=len(table.images), seeds=len(table.seeds))
            rows.append(row)
            if not table.seeds:
                row.verdict = "diverged" if row.decisive else row.verdict
                row.status = f"diverged: {seeds} of {seeds} seeds, first at step 10"
                continue
            edges = np.full((*table.counts[threshold].shape[:3], 5), np.nan)
            values = METRICS[metric].value(Draws(table.counts[threshold], edges, unweighted))
            row.mean = float(values.mean())
            row.low, row.high = row.mean - 0.02, row.mean + 0.02
            row.by_seed = dict(zip(table.seeds, values[0].tolist(), strict=True))
            row.verdict = "undecided" if row.decisive else "not judged"
            if cell.loss != baseline and baseline not in diverged:
                row.delta, row.delta_low, row.delta_high = -0.1, -0.13, -0.07
    return rows


def _verdict(dataset: str, network: str, rows: Sequence[Standing], settings: params.Compare) -> Verdict:
    """All losses with a model are in the race."""
    ranked = sorted((row for row in rows if row.decisive and row.mean is not None), key=lambda row: -(row.mean or 0.0))
    contenders = [row.loss for row in ranked]
    decided = Verdict(dataset, network, leader=next(iter(contenders), None), contenders=contenders)
    decided.against = {loss: Pair(5.0, 2, 1, False) for loss in contenders[1:]}
    decided.chances = {loss: 1 / len(contenders) for loss in contenders if len(contenders) > 1}
    decided.forecast_seeds = 7
    headline.write(decided, rows, [], settings)
    return decided
