"""The report: figures as PNG files, and one HTML page that holds them all and opens offline."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from losslab import figures, history, leaderboard, predictions, runs, scores, statistics
from losslab.data import tensors
from losslab.files import atomic_file, atomic_folder
from losslab.params import Params


def write(params: Params, folder: Path) -> None:
    """Write `figures/<data set>/*.png` and `report.html` from what the other stages left."""
    rows = leaderboard.read(folder / "leaderboard.json")
    sections = []
    with atomic_folder(folder / "figures") as pictures:
        for dataset in params.grid.datasets:
            results = [row for row in rows if row.dataset == dataset]
            captions = draw(params, dataset, results, pictures / dataset)
            sections.append(section(params, dataset, results, captions, pictures / dataset))
    environment = Environment(
        loader=PackageLoader("losslab.report", ""),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("template.html").render(
        sections=sections,
        settings=json.dumps(params.model_dump(mode="json"), indent=2),
        confidence=round(100 * params.compare.confidence),
        baseline=params.compare.baseline,
        smallest_n=statistics.SMALLEST_N,
    )
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def draw(params: Params, dataset: str, results: list[leaderboard.Row], folder: Path) -> dict[str, str]:
    """Draw a data set's figures into `folder`; file name → caption."""
    histories = {loss: history.read(runs.history_file(dataset, loss)) for loss in params.grid.losses}
    found = {loss: scores.read(runs.scores_file(dataset, loss)) for loss in params.grid.losses}
    split = tensors.read(runs.split_file(dataset, "test"))
    figures.leaderboard_bars(folder / "leaderboard.png", results)
    figures.miou_curves(folder / "miou_curves.png", histories)
    figures.loss_curves(folder / "loss_curves.png", histories)
    iou = {loss: statistics.class_iou(table.counts["tuned"]) for loss, table in found.items()}
    figures.class_bars(folder / "classes.png", split.classes, iou)
    captions = {
        "leaderboard.png": "Test mIoU of every loss, at threshold 0.5 and at the threshold tuned on validation.",
        "miou_curves.png": "Validation mIoU by epoch: mean over seeds, band from the lowest to the highest seed.",
        "loss_curves.png": "Training and validation loss. Each loss has its own scale: heights cannot be compared.",
        "classes.png": "Test IoU of every class at the tuned threshold, mean over seeds.",
    }
    masks = {
        loss: predictions.read(files[0], split.masks.shape[-1])
        for loss in params.grid.losses
        if (files := sorted(runs.predictions_folder(dataset, loss).glob("*.safetensors")))
    }
    if masks:
        chosen = tensors.spread(split, params.report.images)
        figures.prediction_grid(
            folder / "predictions.png",
            split.images[chosen],
            split.masks[chosen].astype(bool),
            {loss: predicted[chosen] for loss, predicted in masks.items()},
            [split.ids[index] for index in chosen],
        )
        captions["predictions.png"] = (
            "Test images, evenly spaced by the share of foreground, from smallest to largest; "
            "first seed of each loss, tuned threshold."
        )
    return captions


def section(
    params: Params, dataset: str, results: list[leaderboard.Row], captions: dict[str, str], folder: Path
) -> dict[str, Any]:
    """What the page says of one data set."""
    table = sorted(
        (row for row in results if (row.metric, row.threshold) == ("miou", "tuned")),
        key=lambda row: -1.0 if row.mean is None else row.mean,
        reverse=True,
    )
    other = {(row.loss, row.metric, row.threshold): row for row in results}
    return {
        "dataset": dataset,
        "answer": answer(table),
        "table": [
            {
                "row": row,
                "fixed": other[row.loss, "miou", "fixed"].mean,
                "dice": other[row.loss, "dice", "tuned"].mean,
                "image_dice": other[row.loss, "image_dice", "tuned"].mean,
            }
            for row in table
        ],
        "figures": [
            {"caption": caption, "png": base64.b64encode((folder / name).read_bytes()).decode()}
            for name, caption in captions.items()
        ],
        "extract": json.loads((runs.TENSORS / dataset / "extract.json").read_text()),
        "spec": json.dumps(params.datasets[dataset], indent=2),
    }


def answer(table: list[leaderboard.Row]) -> str:
    """The verdict on one data set in a sentence or two, from its rows at the tuned threshold, best first."""
    ranked = [row for row in table if row.mean is not None]
    if not ranked:
        return "Every run diverged: there is nothing to compare."
    best = ranked[0]
    text = f"{best.loss} has the highest test mIoU, {best.mean:.3f} (interval {best.low:.3f} to {best.high:.3f})"
    if len(ranked) > 1:
        second = ranked[1]
        gap = 100 * ((best.mean or 0) - (second.mean or 0))
        apart = (best.low or 0) > (second.high or 1)
        text += f", {gap:.1f} points above {second.loss}"
        text += "." if apart else "; their intervals overlap, so the order of these two is not settled."
    else:
        text += "."
    if any(row.verdict == "n too small" for row in ranked):
        text += (
            f" With {best.seeds} seeds no test can call a difference significant; at least "
            f"{statistics.SMALLEST_N} are needed. The intervals say how far the numbers can be trusted."
        )
    return text
