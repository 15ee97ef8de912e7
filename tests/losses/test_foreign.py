"""Losses from elsewhere: what they expect is guessed or said, and they then are as losses of losslab's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import own_code
import pytest
import torch
from loss_cases import batch, value_and_gradient
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import pad

from losslab import losses
from losslab.errors import InputError
from losslab.losses import Loss

LIBRARIES = ["monai.losses", "segmentation_models_pytorch.losses", "kornia.losses", "torchvision.ops", "torch.nn"]
SMP = "segmentation_models_pytorch.losses"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("own")
    with own_code.beside_params(path, ["my_losses", *LIBRARIES]):
        yield path


def loss_of(kind: str, options: dict[str, Any] | None = None, **keys: Any) -> Loss:
    return losses.registry.build({"kind": kind, "options": options or {}, **keys})


class TestTheSpec:
    def test_options_and_guesses_are_filled_in(self) -> None:
        complete = losses.registry.complete({"kind": "my_losses:FocalPlus", "options": {"gamma": 1}})
        assert complete == {
            "kind": "my_losses:FocalPlus", "options": {"gamma": 1, "plus": 0.0}, "takes": "logits", "target": "planes",
            "predicts": "sigmoid", "background": False, "ignore_index": None,
        }  # fmt: skip
        assert losses.registry.complete(complete) == complete

    def test_it_is_completed_within_a_sum_too(self) -> None:
        inner = losses.registry.complete({"kind": "my_losses:absolute"})
        spec = {"kind": "sum", "terms": [{"loss": {"kind": "mse"}}, {"loss": {"kind": "my_losses:absolute"}}]}
        complete = losses.registry.complete(spec)
        assert complete["terms"][1] == {"loss": inner, "weight": 1.0}
        assert losses.registry.complete(complete) == complete
        logits, target = batch()
        assert losses.registry.build(complete)(logits, target) == losses.build("mse")(logits, target) + losses.build(
            "mae"
        )(logits, target)

    @pytest.mark.parametrize("spec", [{"weight": 3}, {"options": {"weight": 3}}])
    def test_a_subclass_of_loss_is_a_kind_as_any_other(self, spec: dict[str, Any]) -> None:
        complete = losses.registry.complete({"kind": "my_losses:Squared", **spec})
        assert complete == {"kind": "my_losses:Squared", "weight": 3.0}
        logits, target = batch()
        assert losses.registry.build(complete)(logits, target) == 3 * losses.build("mse")(logits, target)
        nested = losses.registry.complete({"kind": "sum", "terms": [{"loss": complete}]})
        assert nested["terms"] == [{"loss": complete, "weight": 1.0}]

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({"kind": "FocalPlus", "options": {"gama": 2}}, r"options\.gama\n.*no such option; did you mean 'gamma'\?"),
            ({"kind": "FocalPlus", "options": {"gamma": "high"}}, r"options\.gamma\n.*'high' does not do: .*number"),
            ({"kind": "FocalPlus", "options": {"gamma": True}}, r"options\.gamma\n.*True does not do"),
            ({"kind": "FocalPlus", "options": [2]}, r"options\n.*is not a mapping"),
            ({"kind": "FocalPlus", "gamma": 2}, r"gamma\n.*an option of FocalPlus stands below `options`"),
            ({"kind": "FocalPlus", "targets": "planes"}, r"targets\n.*unknown key; did you mean 'target'\?"),
            ({"kind": "FocalPlus", "target": "labels"}, "target"),
            ({"kind": "FocalPlus", "target": "indices", "predicts": "sigmoid"}, r"target\n.*goes with `predicts: soft"),
            ({"kind": "FocalPlus", "predicts": "sigmoid", "background": True}, r"background\n.*goes with"),
            ({"kind": "Needs"}, r"options\.weights\n.*missing; Needs has no default for it"),
            ({"kind": "absolute", "options": {"target": 2}}, r"options\.target\n.*is filled in by losslab"),
            ({"kind": "Squared", "wieght": 2}, r"unknown key; did you mean 'weight'\?"),
        ],
    )
    def test_what_is_wrong_is_named(self, spec: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            losses.registry.complete(spec | {"kind": f"my_losses:{spec['kind']}"})


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # without annotations, with one class or many
    "own focal": ({"kind": "my_losses:FocalPlus"}, {"kind": "focal", "alpha": None}),
    "own function": ({"kind": "my_losses:absolute"}, {"kind": "mae"}),
    # class: activation by an option, unset by default; target as planes with background
    "MONAI's Dice": (
        {"kind": "monai.losses:DiceLoss", "options": {"smooth_nr": 1, "smooth_dr": 1}},
        {"kind": "dice", "smooth": 1, "reduce": "sample"},
    ),
    "MONAI's Dice, of the batch": (
        {"kind": "monai.losses:DiceLoss", "options": {"smooth_nr": 1, "smooth_dr": 1, "batch": True}},
        {"kind": "dice", "smooth": 1, "reduce": "batch"},
    ),
    "MONAI's Tversky": (
        {"kind": "monai.losses:TverskyLoss", "options": {"smooth_nr": 1, "smooth_dr": 1, "alpha": 0.3, "beta": 0.7}},
        {"kind": "tversky", "smooth": 1, "reduce": "sample", "alpha": 0.3, "beta": 0.7},
    ),
    "MONAI's softmax Dice, without background": (
        {
            "kind": "monai.losses:DiceLoss",
            "options": {"softmax": True, "smooth_nr": 1, "smooth_dr": 1, "include_background": False},
        },
        {"kind": "dice", "activation": "softmax", "smooth": 1, "reduce": "sample"},
    ),
    # of class numbers
    "kornia's softmax Tversky": (
        {"kind": "kornia.losses:TverskyLoss", "options": {"alpha": 0.3, "beta": 0.7}},
        {
            "kind": "tversky",
            "activation": "softmax",
            "include_background": True,
            "reduce": "sample",
            "smooth": 0,
            "alpha": 0.3,
            "beta": 0.7,
        },
    ),
    "kornia's focal": (
        {"kind": "kornia.losses:BinaryFocalLossWithLogits", "options": {"alpha": 0.25, "reduction": "mean"}},
        {"kind": "focal", "alpha": 0.25, "gamma": 2.0},
    ),
    # mode says what the target is
    "smp's Tversky": (
        {"kind": f"{SMP}:TverskyLoss", "options": {"mode": "multilabel", "alpha": 0.3, "beta": 0.7}},
        {"kind": "tversky", "smooth": 0, "reduce": "batch", "alpha": 0.3, "beta": 0.7},
    ),
    "smp's focal": (
        {"kind": f"{SMP}:FocalLoss", "options": {"mode": "multilabel"}},
        {"kind": "focal", "alpha": None, "gamma": 2.0},
    ),
    "smp's soft BCE": ({"kind": f"{SMP}:SoftBCEWithLogitsLoss"}, {"kind": "bce"}),
    "torch's cross-entropy": ({"kind": "torch.nn:CrossEntropyLoss"}, {"kind": "cross_entropy"}),
    "torch's cross-entropy, weighted": (
        {"kind": "torch.nn:CrossEntropyLoss", "options": {"weight": [1, 2, 3, 4, 5]}},
        {"kind": "cross_entropy", "class_weights": [1, 2, 3, 4, 5]},
    ),
    "torch's BCE": ({"kind": "torch.nn:BCEWithLogitsLoss"}, {"kind": "bce"}),
    "torch's squared error": ({"kind": "torch.nn:MSELoss"}, {"kind": "mse"}),
    # a function, whose default reduction is none
    "torchvision's focal": (
        {"kind": "torchvision.ops:sigmoid_focal_loss", "options": {"reduction": "mean", "alpha": -1}},
        {"kind": "focal", "alpha": None, "gamma": 2.0},
    ),
}


@pytest.mark.parametrize("row", SAME)
def test_where_definitions_coincide_it_is_losslab_s_own(row: str) -> None:
    foreign, ours = (losses.registry.build(spec) for spec in SAME[row])
    for seed in range(3):
        logits, target = batch(seed=seed)
        value, gradient = value_and_gradient(foreign, logits, target.float())
        expected, expected_gradient = value_and_gradient(ours, logits, target.float())
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, expected_gradient)
        torch.testing.assert_close(foreign.probabilities(logits), ours.probabilities(logits))


GUESSES: dict[str, tuple[dict[str, Any], tuple[str, str, str, bool]]] = {
    "MONAI": ({"kind": "monai.losses:DiceFocalLoss"}, ("logits", "planes", "sigmoid", False)),
    "MONAI, softmax": (
        {"kind": "monai.losses:DiceCELoss", "options": {"softmax": True}},
        ("logits", "one_hot", "softmax", True),
    ),
    "MONAI, class numbers": (
        {"kind": "monai.losses:DiceFocalLoss", "options": {"softmax": True, "to_onehot_y": True}},
        ("logits", "indices", "softmax", True),
    ),
    "smp, classes": (
        {"kind": f"{SMP}:DiceLoss", "options": {"mode": "multiclass"}},
        ("logits", "indices", "softmax", True),
    ),
    "smp, labels": (
        {"kind": f"{SMP}:DiceLoss", "options": {"mode": "multilabel"}},
        ("logits", "planes", "sigmoid", False),
    ),
    "kornia": ({"kind": "kornia.losses:DiceLoss"}, ("logits", "indices", "softmax", True)),
    "kornia, focal": (
        {"kind": "kornia.losses:FocalLoss", "options": {"alpha": 0.5, "reduction": "mean"}},
        ("logits", "indices", "softmax", True),
    ),
    "torch, of probabilities": ({"kind": "torch.nn:BCELoss"}, ("probabilities", "planes", "sigmoid", False)),
}


@pytest.mark.parametrize("row", GUESSES)
def test_what_libraries_expect_is_guessed(row: str) -> None:
    spec, expected = GUESSES[row]
    complete = losses.registry.complete(spec)
    assert tuple(complete[key] for key in ("takes", "target", "predicts", "background")) == expected
    loss = losses.registry.build(complete)
    logits, target = batch()
    value, gradient = value_and_gradient(loss, logits, target.float())
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert gradient.any()


def test_smp_s_softmax_dice_leaves_no_room_for_another_background() -> None:
    loss = loss_of(f"{SMP}:DiceLoss", {"mode": "multiclass", "smooth": 1.0})
    logits, target = batch()
    p = pad(logits, (0, 0, 0, 0, 1, 0)).softmax(1)
    planes = torch.cat([1 - target.amax(1, keepdim=True), target], 1).float()
    tp, total = (p * planes).sum((0, 2, 3)), (p + planes).sum((0, 2, 3))
    expected = (1 - (tp + 1) / (total / 2 + 1)).mean()  # smp 0.6 smooths the quotient tp / (tp + fp/2 + fn/2)
    torch.testing.assert_close(loss(logits, target.float()), expected)


def test_classes_that_exclude_each_other_have_no_background_put_before_them() -> None:
    spec = {"kind": "torch.nn:CrossEntropyLoss"}
    loss = losses.registry.build(spec, exclusive=True)
    logits = batch()[0]
    labels = torch.randint(0, 4, (3, 8, 8), generator=torch.Generator().manual_seed(1))
    planes = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    torch.testing.assert_close(loss(logits, planes), torch.nn.functional.cross_entropy(logits, labels))
    torch.testing.assert_close(loss.probabilities(logits), logits.softmax(1))


VOID_SPECS = {
    "pixelwise": {"kind": "my_losses:absolute"},
    "overlap": {"kind": "monai.losses:DiceLoss"},
    "softmax": {"kind": f"{SMP}:DiceLoss", "options": {"mode": "multiclass"}},
    "with an ignore_index": {"kind": "torch.nn:CrossEntropyLoss", "ignore_index": -100},
    "with an ignore_index of one's own": {
        "kind": f"{SMP}:DiceLoss", "options": {"mode": "multiclass", "ignore_index": 250}, "ignore_index": 250,
    },
}  # fmt: skip


@pytest.mark.parametrize("content", [0.0, 100.0, -100.0, float("nan")])
@pytest.mark.parametrize("row", VOID_SPECS)
def test_a_border_of_unknown_pixels_changes_nothing(row: str, content: float) -> None:
    if row == "with an ignore_index" and content != content:
        content = 1.0
    loss = losses.registry.build(VOID_SPECS[row])
    logits, target = batch()
    value, gradient = value_and_gradient(loss, logits, target)
    border = (1, 2, 3, 0)
    bordered, void = pad(logits, border, value=content), pad(target, border, value=255)
    value_b, gradient_b = value_and_gradient(loss, bordered, void)
    torch.testing.assert_close(value_b, value)
    torch.testing.assert_close(gradient_b[:, :, 3:, 1:-2], gradient)
    gradient_b[:, :, 3:, 1:-2] = 0
    assert not gradient_b.any()


def test_a_pixel_that_one_plane_does_not_know_is_unknown() -> None:
    loss = loss_of("my_losses:absolute")
    logits, target = batch()
    target[:, 1, 0] = 255
    every = target.clone()
    every[:, :, 0] = 255
    assert loss(logits, target) == loss(logits, every)


def test_a_batch_in_which_nothing_is_known_costs_nothing() -> None:
    loss = loss_of("my_losses:FocalPlus")
    logits = batch()[0].requires_grad_()
    value = loss(logits, torch.full((3, 4, 8, 8), 255, dtype=torch.uint8))
    assert value == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"kind": "torchvision.ops:sigmoid_focal_loss"},
            r"gives a tensor \[3, 4, 8, 8\] in place of a scalar; set `options\.reduction: mean`",
        ),
        ({"kind": "my_losses:number"}, "my_losses:number gives a float in place of a scalar; make it one number"),
    ],
)
def test_what_is_no_scalar_is_said_in_a_line(folder: Path, spec: dict[str, Any], message: str) -> None:
    import my_losses

    def number(logits: Tensor, target: Tensor) -> float:
        return 1.0

    number.__module__ = "my_losses"
    my_losses.number = number
    logits, target = batch()
    with pytest.raises(InputError, match=message):
        losses.registry.build(spec)(logits, target)
