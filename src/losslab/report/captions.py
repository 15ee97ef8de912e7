"""Which figures a data set gets, and the words beneath each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from losslab.data import tensors
from losslab.evaluation.metrics import METRICS
from losslab.report.evidence import Evidence
from losslab.report.figures import curves, images, results, tuning
from losslab.results import paths, scores
from losslab.results.standings import RANKED_BY, RULES

MOST_LOSSES = 8
"""Columns of predictions in a grid: the best ones, or the images get too small."""
RANKING = METRICS[RANKED_BY].title
VALIDATED = METRICS["miou"].title
IMAGE_DICE = METRICS["image_dice"].title
GAIN = " The distance between full and empty point is what tuning the threshold on validation is worth."


class Picture(NamedTuple):
    """A figure, the name of its file and its caption."""

    name: str
    caption: str
    figure: Figure


def pictures(evidence: Evidence, rows: int) -> Iterator[Picture]:
    """The figures of one data set, in the order of the page; none where there is nothing to draw.

    Args:
        rows: of a grid of images.
    """
    e = evidence
    measured = [row for row in e.ranked if row.mean is not None]
    if measured:
        yield Picture(
            "leaderboard",
            f"Test {RANKING} of every loss: each seed, their mean, and its interval over seeds and test images."
            + (GAIN if e.rule == "tuned" else ""),
            results.leaderboard_dots(e.board),
        )
    if any(row.delta is not None for row in measured):
        yield Picture(
            "difference",
            f"Difference to {e.baseline}, paired by seed and image, with its interval. A full point: the interval "
            "leaves out zero.",
            results.difference_forest(e.board, e.baseline),
        )
    yield from _analysed(e)
    scored = {row.loss: e.dice[row.loss].ravel() for row in measured if row.loss in e.dice}
    if scored:
        yield Picture(
            "image_dice",
            f"How {IMAGE_DICE} is spread over the test images, all seeds together, with the median.",
            results.dice_distribution(scored, e.losses, RULES[e.rule]),
        )
    yield Picture(
        "miou_curves",
        f"Validation {VALIDATED} by epoch: mean over seeds, band from the lowest to the highest seed.",
        curves.miou_curves(e.histories),
    )
    yield Picture(
        "loss_curves",
        "Training and validation loss of every seed. Each loss has its own scale: heights cannot be compared.",
        curves.loss_curves(e.histories),
    )
    yield Picture(
        "loss_curves_normalised",
        "All training losses together, each as the share of its own fall that is left: 1 is where it began, 0 the "
        "lowest it came to. It shows how fast each falls, not how good it is.",
        curves.normalised_curves(e.histories),
    )
    if e.tuning:
        tried = next(iter(e.tuning.values())).tried
        each = f"mean of {len({row.seed for row in tried})} seeds" if tried[0].seed != tried[-1].seed else "one seed"
        yield Picture(
            "tuning",
            f"What tuning tried, the same rates for every loss: validation {VALIDATED} of each trial ({each}, none of "
            "them trained with later), and what was chosen, as a filled point.",
            tuning.by_rate(e.tuning),
        )
        yield Picture(
            "tuning_budget",
            f"What the best of so many trials is expected to reach on validation ({VALIDATED}): how much of a loss's "
            "place it owes to tuning.",
            tuning.best_of(e.tuning),
        )
    for loss, its_tuning in e.tuning.items():
        yield Picture(
            f"tuning_{loss}",
            f"Tuning of {loss}: validation {VALIDATED} by epoch of each trial.",
            tuning.by_epoch(its_tuning),
        )
    yield from _confusion(e)
    yield from _grids(e, rows)
    chosen = tensors.spread(e.test, rows)
    yield Picture(
        "examples",
        "Test images, evenly spaced by their share of foreground, and their truth over the photograph.",
        images.example_grid(
            e.test.images[chosen],
            e.truth(chosen),
            e.shown_names,
            [e.test.ids[index] for index in chosen],
        ),
    )


def _analysed(e: Evidence) -> Iterator[Picture]:
    a = e.analysis
    if a.get("threshold_gain"):
        yield Picture(
            "threshold_gain",
            f"What choosing the threshold on validation is worth, in points of test {RANKING}: a loss whose "
            "probabilities are off, but in order, gains most.",
            results.threshold_gain(a["threshold_gain"]),
        )
    if a.get("classes"):
        yield Picture(
            "classes",
            f"Test IoU of every class, {RULES[e.rule]}: mean over seeds, with its interval.",
            results.class_scores(a["classes"], e.losses, RULES[e.rule]),
        )
    if a.get("sizes"):
        yield Picture(
            "sizes",
            f"Mean IoU of objects by their area, {RULES[e.rule]}, with its interval. A third of the objects is in each "
            "size; an object is all that an image shows of a class.",
            results.size_scores(a["sizes"], e.losses),
        )
    for number, family in enumerate(a.get("families") or (), start=1):
        yield Picture(
            f"family_{number}",
            f"{family['name']}: test {RANKING} along {family['x_label']}, with intervals.",
            results.family_curve(family, e.board),
        )


def _confusion(e: Evidence) -> Iterator[Picture]:
    loss = next((row.loss for row in e.ranked if row.loss in e.seeds), None)
    if not e.test.exclusive or loss is None:
        return
    classes, tables = scores.read_confusion(paths.confusion_file(e.cell(loss)))
    yield Picture(
        "confusion",
        f"Which class {loss} takes for which, all seeds and test images together: of the known pixels of each true "
        "class (row) the share that is predicted as each class (column).",
        results.confusion_matrix(np.sum(list(tables.values()), axis=0), classes),
    )


def _grids(e: Evidence, rows: int) -> Iterator[Picture]:
    """Predictions of the first seed of each loss on four choices of images."""
    losses = [row.loss for row in e.ranked if row.loss in e.seeds][:MOST_LOSSES]
    if not losses:
        return
    masks = {loss: e.predicted(loss, e.seeds[loss][0]) for loss in losses}
    usable = np.flatnonzero(~np.isnan(e.shown_dice).any(axis=0))
    mean = e.shown_dice.mean(axis=0)[usable]
    spread = np.ptp(e.shown_dice, axis=0)[usable]
    choices = {
        "typical": (np.abs(mean - np.median(mean)) if len(mean) else mean, f"with the median {IMAGE_DICE}"),
        "best": (-mean, f"with the highest {IMAGE_DICE}"),
        "worst": (mean, f"with the lowest {IMAGE_DICE}"),
        "disagree": (-spread, f"where the losses' {IMAGE_DICE} differ most"),
    }
    for name, (order, which) in choices.items():
        if name == "disagree" and len(losses) < 2:
            continue
        chosen = usable[np.argsort(order, kind="stable")[:rows]]
        if not len(chosen):
            continue
        yield Picture(
            f"images_{name}",
            f"Test images {which}{', mean over losses' if name != 'disagree' else ''}; first seed of each loss, "
            f"{RULES[e.rule]}. Right, missed and false pixels of all classes.",
            images.outcome_grid(
                e.test.images[chosen],
                e.truth(chosen),
                {loss: predicted[chosen] for loss, predicted in masks.items()},
                [f"{e.test.ids[i]}" for i in chosen],
            ),
        )
