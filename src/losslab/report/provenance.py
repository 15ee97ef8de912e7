"""What the report says about the data and how it was made."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from losslab.data import tensors
from losslab.data.splits import SPLITS
from losslab.errors import InputError
from losslab.results import paths
from losslab.results.files import digest
from losslab.settings.params import Params
from losslab.settings.plans import ReportPlan

PACKAGES = ("losslab", "torch", "numpy", "scipy", "matplotlib", "pillow", "dvc", "mlflow")


def data_facts(params: Params, dataset: str) -> dict[str, Any]:
    """Counts, exclusions, each class's share of the known pixels, and md5 of each split of a data set."""
    path = paths.TENSORS / dataset / "extract.json"
    try:
        account = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); run `dvc repro`") from None
    splits = {name: tensors.read(paths.split_file(dataset, name)) for name in SPLITS}
    test = splits["test"]
    counted = [(name, split.pixels) for name, split in splits.items()]
    return {
        "size": f"{test.images.shape[3]}×{test.images.shape[2]}",
        "source_images": account.get("source_images"),
        "resampled": params.train.resample,
        "unreadable": account.get("unreadable", []),
        "duplicates": account.get("duplicates", []),
        "splits": [
            {
                "name": name,
                "images": len(split.ids),
                "source": split.source,
                "left_out": _left_out(account, name),
                "md5": digest(paths.split_file(dataset, name)),
            }
            for name, split in splits.items()
        ],
        "classes": [
            {
                "name": name,
                "share": {split: pixels[:, c].sum() / max(known[:, c].sum(), 1) for split, (pixels, known) in counted},
                "images": {split: int((pixels[:, c] > 0).sum()) for split, (pixels, known) in counted},
            }
            for c, name in enumerate(test.classes)
        ],
        "spec": params.datasets[dataset],
    }


def made_with(plan: ReportPlan) -> dict[str, Any]:
    """What identifies the results: versions, and the code that each cell was trained with."""
    versions = {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    versions |= {name: words for name, words in plan.train_libraries.items() if name not in versions}
    return {"versions": versions, "fingerprints": plan.train_code}


def _left_out(account: Any, split: str) -> dict[str, int]:
    reasons = account.get("splits", {}).get(split, {}).get("left_out", {})
    return {str(reason).replace("_", " "): int(count) for reason, count in reasons.items()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
