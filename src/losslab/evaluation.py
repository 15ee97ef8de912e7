"""Score every test image with every seed of one loss on one data set: from files to files."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from losslab import boundaries, devices, history, model_file, predictions, runs, scores, tracking
from losslab.counting import pixel_counts
from losslab.data import tensors
from losslab.distances import compare_boundaries
from losslab.errors import InputError
from losslab.files import atomic_folder
from losslab.inference import predict
from losslab.metrics import FIXED_THRESHOLD
from losslab.model_file import Model
from losslab.params import Params


def evaluate_seeds(params: Params, dataset: str, loss: str) -> None:
    """Score every test image with every model of one loss; write pixel counts, boundaries and the predicted masks."""
    settings = params.train
    device = devices.prepare(settings)
    dtype = devices.compute_dtype(settings, device)
    split = tensors.read(runs.split_file(dataset, "test"))
    images, masks = (torch.from_numpy(array).to(device) for array in (split.images, split.masks))
    rows = history.read(runs.history_file(dataset, loss))
    seeds = [seed for seed in settings.seeds if history.diverged_step(rows, seed) is None]
    counts, edges = {}, {}
    with atomic_folder(runs.predictions_folder(dataset, loss)) as folder:
        for seed in tqdm(seeds, f"{dataset} {loss}", unit="seed", disable=None):
            path = runs.models_folder(dataset, loss) / f"seed{seed}.safetensors"
            model = model_file.load(path, device)
            if model.classes != split.classes:
                raise InputError(f"{path}: trained on {model.classes}, the test set has {split.classes}")
            counts[seed], edges[seed], predicted = _score(model, images, masks, params, dtype)
            predictions.write(folder / f"seed{seed}.safetensors", predicted)
    scores.write(runs.scores_file(dataset, loss), split.ids, split.classes, counts)
    boundaries.write(runs.boundaries_file(dataset, loss), split.ids, split.classes, edges)
    tracking.sync_results(params, dataset, loss)


def _score(
    model: Model, images: Tensor, masks: Tensor, params: Params, dtype: torch.dtype
) -> tuple[dict[str, scores.Counts], dict[str, boundaries.Floats], NDArray[np.bool_]]:
    """Pixel counts `[N, C, 4]` and boundaries `[N, C, 5]` per threshold rule; the masks `[N, C, H, W]` of the last."""
    settings = params.evaluate
    thresholds = dict(zip(scores.THRESHOLDS, (FIXED_THRESHOLD, model.threshold), strict=True))
    counts = {rule: np.empty((*masks.shape[:2], 4), np.int64) for rule in thresholds}
    edges = {rule: np.empty((*masks.shape[:2], 5)) for rule in thresholds}
    predicted = np.empty(masks.shape, np.bool_)
    batches = predict(model.network, model.loss, images, model.normalise, batch_size=settings.batch_size, dtype=dtype)
    for batch, _, probabilities in batches:
        for rule, threshold in thresholds.items():
            mask = probabilities >= threshold
            counts[rule][batch] = pixel_counts(mask, masks[batch]).cpu().numpy()
            edges[rule][batch] = compare_boundaries(mask, masks[batch], settings.boundary_tolerance).numpy()
        predicted[batch] = mask.cpu().numpy()
    return counts, edges, predicted
