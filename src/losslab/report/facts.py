"""What the report says about the data, the metrics and how it was made."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from losslab import runs
from losslab.data import tensors
from losslab.data.fetch import digest
from losslab.errors import InputError
from losslab.params import Params

SPLITS = ("train", "val", "test")
PACKAGES = ("losslab", "torch", "numpy", "scipy", "matplotlib", "pillow", "dvc", "mlflow")


class Metric(NamedTuple):
    """How a metric is shown, and what it is."""

    title: str
    definition: str
    decimals: int = 3
    lower_is_better: bool = False


METRICS = {
    "miou": Metric(
        "mIoU",
        "For each class true positive pixels over the union of true and predicted pixels, TP / (TP + FP + FN), summed "
        "over the test set; then the mean over the classes that the truth holds.",
    ),
    "dice": Metric("Dice", "2·TP / (2·TP + FP + FN) per class over the test set, then the mean over classes."),
    "image_dice": Metric(
        "image Dice",
        "Dice within each image, over the classes in its truth or prediction (a class predicted where there is none "
        "scores 0, one absent from both is left out); then the mean over images.",
    ),
    "pixel_accuracy": Metric(
        "pixel accuracy",
        "The share of all decisions, one per pixel and class, that are right. Where most pixels are background it is "
        "high for any loss.",
    ),
    "precision": Metric("precision", "TP / (TP + FP): how much of what is predicted is there; mean over classes."),
    "recall": Metric("recall", "TP / (TP + FN): how much of what is there is predicted; mean over classes."),
    "boundary_f": Metric(
        "boundary F",
        "F-score of the outlines: a pixel of one outline is right where the other is at most "
        "evaluate.boundary_tolerance pixels away; mean over classes and images.",
    ),
    "hd95": Metric(
        "Hausdorff 95",
        "95th percentile of the distances between the outlines of truth and prediction, in pixels, mean over classes "
        "and images; lower is better.",
        decimals=1,
        lower_is_better=True,
    ),
}
"""What a metric of the leaderboard is called and means; one that is not here goes by its own name."""


def data_facts(params: Params, dataset: str) -> dict[str, Any]:
    """Counts, exclusions, share of foreground and md5 of each split of a data set."""
    path = runs.TENSORS / dataset / "extract.json"
    try:
        account = json.loads(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); run `dvc repro`") from None
    splits = {name: tensors.read(runs.split_file(dataset, name)) for name in SPLITS}
    test = splits["test"]
    return {
        "size": f"{test.images.shape[3]}×{test.images.shape[2]}",
        "source_images": account.get("source_images"),
        "unreadable": account.get("unreadable", []),
        "splits": [
            {
                "name": name,
                "images": len(split.ids),
                "source": split.source,
                "left_out": _left_out(account, name),
                "md5": digest(runs.split_file(dataset, name)),
            }
            for name, split in splits.items()
        ],
        "classes": [
            {
                "name": name,
                "share": {split: float(s.masks[:, c].mean()) for split, s in splits.items()},
                "images": {split: int(s.masks[:, c].any(axis=(1, 2)).sum()) for split, s in splits.items()},
            }
            for c, name in enumerate(test.classes)
        ],
        "spec": params.datasets[dataset],
    }


def made_with(params: Params) -> dict[str, Any]:
    """What identifies the results: versions, and the code and data that each run used."""
    fingerprints = {
        f"{dataset}, {loss}": _fingerprint(f"train/{dataset}-{loss}")
        for dataset in params.grid.datasets
        for loss in params.grid.losses
    }
    versions = {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    return {"versions": versions, "fingerprints": fingerprints}


def _left_out(account: Any, split: str) -> dict[str, int]:
    reasons = account.get("splits", {}).get(split, {}).get("left_out", {})
    return {str(reason).replace("_", " "): int(count) for reason, count in reasons.items()}


def _fingerprint(instance: str) -> str:
    path = runs.RESULTS / "code" / instance
    return path.read_text().strip() if path.is_file() else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
