"""What is unknown is not scored: a border of void pixels is as if it were cut away, in every metric."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score
from torch import Tensor
from torch.nn.functional import pad

from losslab.evaluation.aggregates import Draws, unweighted
from losslab.evaluation.boundaries import compare_boundaries
from losslab.evaluation.extra import KINDS
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.metrics import METRICS, compute
from losslab.evaluation.pixel_counts import ArgmaxCounts, ThresholdCurve, confusion, pixel_counts
from losslab.evaluation.planes import most_probable, planes

VOID = 255
CLASSES = ("background", "a", "b", "c")


def drawn(seed: int, size: tuple[int, int] = (9, 12), images: int = 3, void: float = 0.1) -> tuple[Tensor, Tensor]:
    """Probabilities `[N, 4, H, W]`, and labels `[N, H, W]` that they are often right about, some of them void."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 4, (images, 1, size[0] // 3, size[1] // 3), generator=generator)
    labels = coarse.repeat_interleave(3, 2).repeat_interleave(3, 3)[:, 0]
    logits = torch.randn(images, 4, *size, generator=generator) + 2 * (
        labels[:, None] == torch.arange(4)[:, None, None]
    )
    unknown = torch.rand(labels.shape, generator=generator) < void
    return logits.softmax(1), labels.masked_fill(unknown, VOID).to(torch.uint8)


def scored(predicted: Tensor, target: Tensor, exclusive: bool, probabilities: Tensor | None = None) -> dict[str, float]:
    """Every metric of one seed; with probabilities also those that are measured only where they are asked for."""
    counts, edges = pixel_counts(predicted, target).numpy()[None], compare_boundaries(predicted, target, 1)[None]
    extras = {} if probabilities is None else measure(KINDS, predicted[None], target, probabilities)
    draws = Draws(counts, edges.numpy(), unweighted, CLASSES, exclusive, extras)
    return {name: value.item() for name, value in compute(draws).items()}


@pytest.mark.parametrize("rule", ["threshold", "argmax"])
@pytest.mark.parametrize("inner", [0.0, 0.2])
@given(st.integers(0, 2**20), st.tuples(*(st.integers(0, 4) for _ in range(4))))
@settings(max_examples=25, deadline=None)
def test_padded_and_unpadded_images_score_the_same(
    rule: str, inner: float, seed: int, border: tuple[int, int, int, int]
) -> None:
    probabilities, labels = drawn(seed, void=inner)
    content = torch.rand(pad(probabilities, border).shape, generator=torch.Generator().manual_seed(seed))
    inside = pad(torch.ones_like(probabilities), border) == 1
    padded = content.masked_scatter(inside, probabilities)
    wide = pad(labels, border, value=VOID)
    results = []
    for values, truth in ((probabilities, labels), (padded, wide)):
        target = planes(truth, 4)
        predicted = most_probable(values) if rule == "argmax" else values >= 0.4
        curve, argmax = ThresholdCurve(4, torch.device("cpu")), ArgmaxCounts(4, torch.device("cpu"))
        curve.add(values, target)
        argmax.add(values, target)
        results.append((scored(predicted, target, rule == "argmax", values), curve.best(), argmax.miou()))
    assert results[0][0].keys() == METRICS.keys()
    for ours, theirs in zip(*results, strict=True):
        assert ours == pytest.approx(theirs, nan_ok=True, abs=0)


@given(st.integers(0, 2**20))
@settings(max_examples=15, deadline=None)
def test_scores_by_argmax_are_those_of_scikit_learn_and_torchmetrics(seed: int) -> None:
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_f1_score,
        multiclass_jaccard_index,
    )

    probabilities, labels = drawn(seed)
    target, predicted = planes(labels, 4), most_probable(probabilities)
    ours, guess, known = scored(predicted, target, True), probabilities.argmax(1), labels != VOID
    truth, taken, numbers = labels[known].numpy(), guess[known].numpy(), list(range(4))
    assert ours["miou"] == pytest.approx(jaccard_score(truth, taken, average="macro", labels=np.unique(truth)))
    assert ours["dice"] == pytest.approx(f1_score(truth, taken, average="macro", labels=np.unique(truth)))
    assert ours["pixel_accuracy"] == pytest.approx((truth == taken).mean())
    options = {"num_classes": 4, "ignore_index": VOID}
    per_class = multiclass_jaccard_index(guess, labels.int(), average="none", **options)
    present = torch.tensor([number in truth for number in numbers])
    assert ours["miou"] == pytest.approx(float(per_class[present].mean()), rel=1e-5)
    assert ours["miou_foreground"] == pytest.approx(float(per_class[1:][present[1:]].mean()), rel=1e-5)
    per_class = multiclass_f1_score(guess, labels.int(), average="none", **options)
    assert ours["dice_foreground"] == pytest.approx(float(per_class[1:][present[1:]].mean()), rel=1e-5)
    right = multiclass_accuracy(guess, labels.int(), average="micro", **options)
    assert ours["pixel_accuracy"] == pytest.approx(float(right), rel=1e-5)
    np.testing.assert_array_equal(confusion(predicted, target), confusion_matrix(truth, taken, labels=numbers))


def test_counts_are_of_known_pixels_each_plane_for_itself() -> None:
    target = torch.tensor([[[[0, 1, 255, 255]], [[1, 255, 0, 255]]]], dtype=torch.uint8)
    predicted = torch.tensor([[[[1, 1, 1, 0]], [[1, 1, 0, 1]]]]) == 1
    assert pixel_counts(predicted, target)[0].tolist() == [[1, 1, 0, 0], [1, 0, 0, 1]]


def boundary(predicted: list[str], truth: list[str]) -> list[float]:
    """Boundary counts at tolerance 0 of drawn masks: `#` in it, `?` unknown."""
    guess = torch.tensor([[character == "#" for character in row] for row in predicted])
    codes = {"#": 1, "?": VOID, ".": 0}
    target = torch.tensor([[codes[character] for character in row] for row in truth], dtype=torch.uint8)
    counts: list[float] = compare_boundaries(guess[None, None], target[None, None], 0)[0, 0].tolist()
    return counts


def test_an_outline_against_the_unknown_is_none() -> None:
    truth = [".......", ".####?.", ".####?.", ".####?.", "......."]
    everywhere = [".......", ".#####.", ".#####.", ".#####.", "......."]
    # Upper and lower side of four pixels each, and the middle of the left one.
    assert boundary(everywhere, truth) == [9, 9, 9, 9, 0]
    assert boundary(["......."] * 5, truth) == [0, 0, 9, 0, pytest.approx((5**2 + 7**2) ** 0.5)]


def test_a_class_whose_whole_outline_is_unknown_is_left_out() -> None:
    truth = ["......", ".????.", ".?##?.", ".????.", "......"]
    for predicted in (["......"] * 5, ["......", ".####.", ".####.", ".####.", "......"], truth):
        counts = boundary(predicted, truth)
        assert counts[:4] == [0, 0, 0, 0]
        assert np.isnan(counts[4])


def test_where_nothing_is_known_nothing_is_scored() -> None:
    labels = torch.full((2, 3, 4), VOID, dtype=torch.uint8)
    predicted = most_probable(torch.rand(2, 4, 3, 4, generator=torch.Generator().manual_seed(0)))
    target = planes(labels, 4)
    assert (target == VOID).all()
    assert pixel_counts(predicted, target).sum() == 0
    assert confusion(predicted, target).sum() == 0
    assert all(np.isnan(value) for value in scored(predicted, target, True, predicted.float()).values())


def test_of_equally_probable_classes_the_first_is_taken() -> None:
    assert most_probable(torch.tensor([0.4, 0.4, 0.2]).view(1, 3, 1, 1)).flatten().tolist() == [True, False, False]
