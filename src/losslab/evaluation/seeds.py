"""Score every test image with every seed of one cell: from files to files."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from losslab.data import tensors
from losslab.data.tensors import Split
from losslab.errors import InputError
from losslab.evaluation.aggregates import Floats
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.formulas import FIXED_THRESHOLD
from losslab.evaluation.pixel_counts import confusion, pixel_counts
from losslab.evaluation.planes import most_probable, planes
from losslab.inference import devices, model_file
from losslab.inference.forward import predict_batches
from losslab.inference.model_file import Model
from losslab.results import boundary_scores, history, paths, predictions, scores
from losslab.results.files import atomic_folder
from losslab.settings.params import Evaluate
from losslab.settings.plans import EvaluatePlan


def evaluate_seeds(plan: EvaluatePlan) -> None:
    """Score every test image with every model of one cell; write pixel counts, boundaries, what else is to be measured,
    and the predicted masks."""
    cell = plan.cell
    device = devices.prepare(plan.train)
    dtype = devices.compute_dtype(plan.train.precision, plan.cpu_precision, device)
    split = tensors.read(paths.split_file(cell.dataset, "test"))
    rows = history.read(paths.history_file(cell))
    seeds = [seed for seed in plan.train.seeds if history.diverged_step(rows, seed) is None]
    scored: dict[int, Scored] = {}
    with atomic_folder(paths.EVALUATE / cell.path) as folder:
        masks_folder = folder / paths.predictions_file(cell, 0).parent.name
        masks_folder.mkdir()
        for seed in tqdm(seeds, str(cell), unit="seed", disable=None):
            path = paths.model_file(cell, seed)
            model = model_file.load(path, device)
            if (model.classes, model.exclusive) != (split.classes, split.exclusive):
                raise InputError(f"{path}: trained on {model.classes}, the test set has {split.classes}")
            scored[seed], predicted = score(model, split, plan.evaluate, dtype)
            predictions.write(masks_folder / paths.predictions_file(cell, seed).name, predicted)
        counts, edges = ({seed: getattr(each, of) for seed, each in scored.items()} for of in ("counts", "edges"))
        scores.write(folder / paths.scores_file(cell).name, split.ids, split.classes, counts)
        boundary_scores.write(folder / paths.boundaries_file(cell).name, split.ids, split.classes, edges)
        for metric in plan.evaluate.metrics:
            values = {seed: each.extras[metric] for seed, each in scored.items()}
            table = folder / paths.extra_file(cell, metric).name
            scores.write_table(table, scores.EXTRAS[metric], split.ids, split.classes, values)
        if split.exclusive:
            pairs = {seed: each.confusion for seed, each in scored.items()}
            scores.write_confusion(folder / paths.confusion_file(cell).name, split.classes, pairs)


@dataclass(frozen=True)
class Scored:
    """What one model scored: by threshold rule pixel counts `[N, C, 4]` and boundaries `[N, C, 5]`, and `[N, C, K]` for
    each extra metric; where classes exclude each other also pixels by true and predicted class `[C, C]`."""

    counts: dict[str, scores.Counts]
    edges: dict[str, Floats]
    extras: dict[str, dict[str, Floats]]
    confusion: scores.Counts


def score(model: Model, split: Split, settings: Evaluate, dtype: torch.dtype) -> tuple[Scored, NDArray[np.bool_]]:
    """What a model scores on a split, and the masks `[N, C, H, W]` that the last threshold rule makes."""
    images, truth = (torch.from_numpy(array) for array in (split.images, split.truth))
    number, classes = len(images), len(split.classes)
    rules: dict[str, Callable[[Tensor], Tensor]] = {
        "fixed": lambda probabilities: probabilities >= FIXED_THRESHOLD,
        "tuned": lambda probabilities: probabilities >= model.threshold,
        scores.ARGMAX: most_probable,
    }
    chosen = scores.RULES[split.exclusive]
    counts = {rule: np.empty((number, classes, 4), np.int64) for rule in chosen}
    edges = {rule: np.empty((number, classes, 5)) for rule in chosen}
    extras: dict[str, dict[str, Floats]] = {
        metric: {rule: np.empty((number, classes, len(scores.EXTRAS[metric]))) for rule in chosen}
        for metric in settings.metrics
    }
    pairs = np.zeros((classes, classes), np.int64)
    predicted = np.empty((number, classes, *images.shape[2:]), np.bool_)
    batches = predict_batches(
        model.network, model.loss, images, model.normalise, batch_size=settings.batch_size, dtype=dtype
    )
    for batch, _, probabilities in batches:
        target = planes(truth[batch].to(probabilities.device), classes)
        masks = torch.stack([rules[rule](probabilities) for rule in chosen])
        for rule, mask in zip(chosen, masks, strict=True):
            counts[rule][batch] = pixel_counts(mask, target).cpu().numpy()
            edges[rule][batch] = compare_boundaries(mask, target, settings.boundary_tolerance).numpy()
        for metric, values in measure(settings.metrics, masks, target, probabilities).items():
            for rule, of_rule in zip(chosen, values, strict=True):
                extras[metric][rule][batch] = of_rule
        if split.exclusive:
            pairs += confusion(masks[-1], target).cpu().numpy()
        predicted[batch] = masks[-1].cpu().numpy()
    return Scored(counts, edges, extras, pairs), predicted
