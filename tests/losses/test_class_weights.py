"""Weights against imbalance: what may be given, and what is taken from the training masks."""

from typing import Any

import pytest
import torch
from loss_cases import batch, kind_loss
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from losslab.losses import registry
from losslab.losses.pixel.cross_entropy import class_indices, gathered_cross_entropy, with_background
from losslab.settings.schema import explain


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "bce", "pos_weight": "blanced"}, "pos_weight: not a weight; did you mean 'balanced'?"),
        ({"kind": "bce", "pos_weight": 0}, "pos_weight: not a weight; known: none, balanced, a number > 0"),
        ({"kind": "bce", "pos_weight": [1, -1]}, "pos_weight: not a weight"),
        ({"kind": "bce", "pos_weight": []}, "pos_weight: not a weight"),
        ({"kind": "bce", "pos_weight": True}, "pos_weight: not a weight"),
        ({"kind": "cross_entropy", "class_weights": 2}, "class_weights: not class weights"),
        ({"kind": "bce", "pos_wieght": 2}, "pos_wieght: unknown key; did you mean 'pos_weight'?"),
        ({"kind": "dcie"}, "kind: no kind 'dcie' in losslab.losses.KINDS; did you mean 'dice'?"),
        ({"kind": "dice", "smooth": -1}, "smooth: -1 is not ≥ 0"),
        ({"kind": "dice", "smooth": True}, "smooth: true is not a number"),
        ({"kind": "focal", "alpha": False}, "alpha: false is not a number"),
        ({"kind": "sum", "terms": [{"loss": {"kind": "mse"}, "weight": True}]}, "terms.0.weight: true is not a number"),
        ({"kind": "dice", "reduce": "image"}, "reduce: 'image' is not one of 'sample' or 'batch'"),
        (
            {"kind": "sum", "terms": [{"loss": {"kind": "tversky", "alhpa": 0.3}}]},
            "terms.0.loss.alhpa: unknown key; did you mean 'alpha'?",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_path_and_the_nearest_right_one(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        registry.build(spec)
    assert f"params.yaml: losses.mine.{message}" in explain(error.value, "params.yaml", "losses", "mine")


@pytest.mark.parametrize(("kind", "option"), [("bce", "pos_weight"), ("cross_entropy", "class_weights")])
def test_a_list_of_another_length_than_the_data_needs_is_an_error(kind: str, option: str) -> None:
    with pytest.raises(ValueError, match="2 weights are given"):
        kind_loss(kind, **{option: [1, 2]})(*batch())


def test_one_positive_weight_per_class_applies_to_its_plane() -> None:
    logits, target = batch()
    planes = [
        kind_loss("bce", pos_weight=w)(logits[:, [c]], target[:, [c]]) for c, w in enumerate([1.0, 2.0, 3.0, 0.5])
    ]
    value = kind_loss("bce", pos_weight=[1, 2, 3, 0.5])(logits, target)
    torch.testing.assert_close(value, torch.stack(planes).mean())


@pytest.mark.parametrize("kind", ["bce", "exponential_log", "cross_entropy"])
def test_fitted_to_a_batch_it_is_what_it_computes_from_that_batch(kind: str) -> None:
    logits, target = batch()
    option = "class_weights" if kind == "cross_entropy" else "pos_weight"
    loss = kind_loss(kind, **{option: "balanced"})
    fitted = loss.fitted(target)
    assert isinstance(getattr(fitted, option), tuple)
    torch.testing.assert_close(fitted(logits, target), loss(logits, target))
    torch.testing.assert_close(fitted.probabilities(logits), loss.probabilities(logits))
    assert fitted.fitted(target[:1]) is fitted
    nested = kind_loss("sum", terms=[{"loss": {"kind": kind, option: "balanced"}, "weight": 2}]).fitted(target)
    torch.testing.assert_close(nested(logits[:1], target[:1]), 2 * fitted(logits[:1], target[:1]))


def test_a_loss_with_nothing_to_fit_stays_itself() -> None:
    loss = kind_loss("dice")
    assert loss.fitted(batch()[1]) is loss


def test_a_class_never_seen_leaves_the_loss_finite() -> None:
    logits, target = batch()
    target[:, 2] = 0
    for kind, option in (("bce", "pos_weight"), ("cross_entropy", "class_weights")):
        loss = kind_loss(kind, **{option: "balanced"})
        assert loss(logits, target).isfinite()
        assert loss.fitted(target)(logits, target).isfinite()


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0, 0.5, 0.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_cross_entropy_used_on_cuda_is_pytorchs(weight: list[float] | None, smoothing: float) -> None:
    logits, target = batch()
    arguments = (
        with_background(logits),
        class_indices(target),
        None if weight is None else torch.tensor(weight),
    )
    torch.testing.assert_close(
        gathered_cross_entropy(*arguments, label_smoothing=smoothing),
        cross_entropy(*arguments, label_smoothing=smoothing),
    )
