"""Where the outputs of each stage lie, from the root of the repository; `dvc.yaml` says the same."""

from pathlib import Path

from losslab.errors import InputError
from losslab.settings.plans import Cell

RAW = Path("data/raw")
TENSORS = Path("data/tensors")
WEIGHTS = Path("data/weights")
RESULTS = Path("results")
TRAIN = RESULTS / "train"
EVALUATE = RESULTS / "evaluate"
COMPARE = RESULTS / "compare"
TUNE = RESULTS / "tune"
METRICS = RESULTS / "metrics.json"
FIGURES = RESULTS / "figures"
SVG = RESULTS / "svg"
REPORT = RESULTS / "report.html"
LEADERBOARD = COMPARE / "leaderboard.json"
ANALYSIS = COMPARE / "analysis.json"
VERDICTS = COMPARE / "verdicts.json"
CASES = COMPARE / "cases"


def split_file(dataset: str, split: str) -> Path:
    """The tensors of a split.

    Raises:
        InputError: there is no such file yet.
    """
    path = TENSORS / dataset / f"{split}.safetensors"
    if not path.is_file():
        raise InputError(f"{path}: not found; run `dvc repro`")
    return path


def weights_file(network: str) -> Path:
    """Where `weights` leaves what a network starts from; there is none if it starts at random."""
    return WEIGHTS / network / "weights.safetensors"


def model_file(cell: Cell, seed: int) -> Path:
    """Where `train` leaves the model of a seed; there is none if it diverged."""
    return TRAIN / cell.path / f"seed{seed}.safetensors"


def history_file(cell: Cell) -> Path:
    """Where `train` leaves the history of all seeds."""
    return TRAIN / cell.path / "history.csv"


def scores_file(cell: Cell) -> Path:
    """Where `evaluate` leaves the pixel counts of all seeds."""
    return EVALUATE / cell.path / "scores.csv"


def boundaries_file(cell: Cell) -> Path:
    """Where `evaluate` leaves what the boundaries of all seeds' masks are like."""
    return EVALUATE / cell.path / "boundaries.csv"


def confusion_file(cell: Cell) -> Path:
    """Where `evaluate` leaves which class was taken for which, if classes exclude each other."""
    return EVALUATE / cell.path / "confusion.csv"


def extra_file(cell: Cell, metric: str) -> Path:
    """Where `evaluate` leaves what a metric of `evaluate.metrics` is made of."""
    return EVALUATE / cell.path / f"{metric}.csv"


def predictions_file(cell: Cell, seed: int) -> Path:
    """Where `evaluate` leaves the masks that a seed predicts; there are none if it diverged."""
    return EVALUATE / cell.path / "predictions" / f"seed{seed}.safetensors"
