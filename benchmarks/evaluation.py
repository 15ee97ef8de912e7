"""Images a second of scoring, for the test set and one model's predictions, on one thread: ours against libraries.

Counts: those of the stage `evaluate`, at one threshold, beside torchmetrics' of the same numbers. Boundaries: boundary
F and HD95 beside MONAI's HD95 alone. Curve: a validation's mIoU at all 129 thresholds beside counting at each of them.
"""

import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from timing import Figure, Goal, Skipped, figure, in_turns
from torch import Tensor

from losslab.data import tensors
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.pixel_counts import BINS, ThresholdCurve, pixel_counts
from losslab.results import paths

if TYPE_CHECKING:
    from speed import Options

BATCH = 50
TOLERANCE = 2


def figures(options: "Options") -> list[Figure]:
    with warnings.catch_warnings(action="ignore"):
        from monai.metrics import compute_hausdorff_distance
        from torchmetrics.functional.classification import multilabel_stat_scores
    torch.set_num_threads(1)
    path = paths.TENSORS / "shapes/test.safetensors"
    if not path.is_file():
        raise Skipped(f"{path} is not there; run `dvc repro extract`")
    masks = torch.from_numpy(tensors.read(path).masks[:500])
    # As unsure as a trained network: the truth, blurred and noisy.
    noise = torch.randn(masks.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(masks.float(), 5, stride=1, padding=2)
    probabilities = (6 * blurred - 3 + noise / 2).sigmoid()

    def their_counts(p: Tensor, t: Tensor) -> Tensor:
        counts = multilabel_stat_scores(
            p, t, t.shape[1], average=None, multidim_average="samplewise", validate_args=False
        )
        return counts[..., [0, 1, 3, 2]]  # [N, C, tp fp tn fn support] → tp fp fn tn

    def one_by_one(p: Tensor, t: Tensor) -> None:
        for k in range(BINS + 1):
            pixel_counts(p >= k / BINS, t)

    def rate(work: Callable[[Tensor, Tensor], object], images: int = len(masks)) -> Callable[[], float]:
        def measured() -> float:
            start = time.perf_counter()
            with warnings.catch_warnings(action="ignore"):  # MONAI's, of empty masks
                for p, t in zip(probabilities[:images].split(BATCH), masks[:images].split(BATCH), strict=True):
                    work(p, t)
            return images / (time.perf_counter() - start)

        return measured

    def counts(p: Tensor, t: Tensor) -> Tensor:
        return pixel_counts(p >= 0.5, t)

    assert torch.equal(counts(probabilities, masks), their_counts(probabilities, masks))
    pairs = (
        ("pixel counts", rate(counts), "torchmetrics", rate(their_counts)),
        (
            "boundary F and HD95",
            rate(lambda p, t: compare_boundaries(p >= 0.5, t, TOLERANCE)),
            "MONAI, HD95",
            rate(lambda p, t: compute_hausdorff_distance(p >= 0.5, t, include_background=True, percentile=95), BATCH),
        ),
        (
            f"mIoU at {BINS + 1} thresholds",
            rate(ThresholdCurve(masks.shape[1], masks.device).add),
            "one by one",
            rate(one_by_one, BATCH),
        ),
    )
    rows = []
    for what, own, baseline, other in pairs:
        ours, theirs = in_turns(options.rounds, own, other)
        rows.append(figure(f"scoring, {what}", "images/s", ours, baseline, theirs, Goal("ratio", "≥", 1)))
    return rows
