"""Score every test image with every seed of one cell: from files to files."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from losslab.data import tensors
from losslab.errors import InputError
from losslab.evaluation.aggregates import Floats
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.formulas import FIXED_THRESHOLD
from losslab.evaluation.pixel_counts import pixel_counts
from losslab.inference import devices, model_file
from losslab.inference.forward import predict_batches
from losslab.inference.model_file import Model
from losslab.results import boundary_scores, history, paths, predictions, scores
from losslab.results.files import atomic_folder
from losslab.settings.params import Evaluate
from losslab.settings.plans import EvaluatePlan


def evaluate_seeds(plan: EvaluatePlan) -> None:
    """Score every test image with every model of one cell; write pixel counts, boundaries and the predicted masks."""
    cell = plan.cell
    device = devices.prepare(plan.train)
    dtype = devices.compute_dtype(plan.train.precision, plan.cpu_precision, device)
    split = tensors.read(paths.split_file(cell.dataset, "test"))
    images, masks = (torch.from_numpy(array) for array in (split.images, split.masks))
    rows = history.read(paths.history_file(cell))
    seeds = [seed for seed in plan.train.seeds if history.diverged_step(rows, seed) is None]
    counts, edges = {}, {}
    with atomic_folder(paths.EVALUATE / cell.path) as folder:
        masks_folder = folder / paths.predictions_file(cell, 0).parent.name
        masks_folder.mkdir()
        for seed in tqdm(seeds, str(cell), unit="seed", disable=None):
            path = paths.model_file(cell, seed)
            model = model_file.load(path, device)
            if model.classes != split.classes:
                raise InputError(f"{path}: trained on {model.classes}, the test set has {split.classes}")
            counts[seed], edges[seed], predicted = _score(model, images, masks, plan.evaluate, dtype)
            predictions.write(masks_folder / paths.predictions_file(cell, seed).name, predicted)
        scores.write(folder / paths.scores_file(cell).name, split.ids, split.classes, counts)
        boundary_scores.write(folder / paths.boundaries_file(cell).name, split.ids, split.classes, edges)


def _score(
    model: Model, images: Tensor, masks: Tensor, settings: Evaluate, dtype: torch.dtype
) -> tuple[dict[str, scores.Counts], dict[str, Floats], NDArray[np.bool_]]:
    """Pixel counts `[N, C, 4]` and boundaries `[N, C, 5]` per threshold rule; the masks `[N, C, H, W]` of the last."""
    thresholds = dict(zip(scores.THRESHOLDS, (FIXED_THRESHOLD, model.threshold), strict=True))
    counts = {rule: np.empty((*masks.shape[:2], 4), np.int64) for rule in thresholds}
    edges = {rule: np.empty((*masks.shape[:2], 5)) for rule in thresholds}
    predicted = np.empty(masks.shape, np.bool_)
    batches = predict_batches(
        model.network, model.loss, images, model.normalise, batch_size=settings.batch_size, dtype=dtype
    )
    for batch, _, probabilities in batches:
        truth = masks[batch].to(probabilities.device)
        for rule, threshold in thresholds.items():
            mask = probabilities >= threshold
            counts[rule][batch] = pixel_counts(mask, truth).cpu().numpy()
            edges[rule][batch] = compare_boundaries(mask, truth, settings.boundary_tolerance).numpy()
        predicted[batch] = mask.cpu().numpy()
    return counts, edges, predicted
