"""Small tables derived by hand: two pixels or four, probabilities ½, ¼ and ¾ (logits 0, −ln 3 and ln 3)."""

from math import cosh, log, sqrt
from typing import Any

import pytest
import torch
from loss_cases import kind_loss
from torch import Tensor

from losslab.losses import KINDS, registry

Z = log(3)  # sigmoid(ln 3) = ¾
LN2, LN4, LN43 = log(2), log(4), log(4 / 3)

TABLE: list[tuple[str, dict[str, Any], list[float], list[int], float]] = [
    # kind, options, logits and target of one plane in a row, expected
    # Errors of p = (¾, ¼) against (1, 0): ¼ and ¼.
    ("mse", {}, [Z, -Z], [1, 0], 1 / 16),
    ("mae", {}, [Z, -Z], [1, 0], 1 / 4),
    # One error of ¾ > ½: ½·(¾ − ¼) = ¼; one of ¼: 1/32.
    ("huber", {}, [-Z, -Z], [1, 0], (1 / 4 + 1 / 32) / 2),
    # −ln ¾ on the foreground, −ln ¼ on the background.
    ("bce", {}, [Z, Z], [1, 0], (LN43 + LN4) / 2),
    ("bce", {"pos_weight": 3}, [Z, Z], [1, 0], (3 * LN43 + LN4) / 2),
    # One foreground pixel to three of background: balanced weight 3.
    ("bce", {"pos_weight": "balanced"}, [0, 0, 0, 0], [1, 0, 0, 0], (3 * LN2 + 3 * LN2) / 4),
    # ε = ½: targets ¾ and ¼.
    ("bce", {"label_smoothing": 0.5}, [Z, -Z], [1, 0], 3 / 4 * LN43 + 1 / 4 * LN4),
    ("cross_entropy", {}, [Z, Z], [1, 0], (LN43 + LN4) / 2),
    # Weights 1 for background and 3 for the class, divided by their sum.
    ("cross_entropy", {"class_weights": [1, 3]}, [Z, Z], [1, 0], (3 * LN43 + LN4) / 4),
    # ½·(mean of the class) + ½·(mean of the others): 3 pixels of background weigh ⅔ each, 1 of foreground 2.
    ("cross_entropy", {"class_weights": "balanced"}, [Z, Z, Z, Z], [1, 0, 0, 0], (LN43 + LN4) / 2),
    ("cross_entropy", {"label_smoothing": 0.5}, [Z, -Z], [1, 0], 3 / 4 * LN43 + 1 / 4 * LN4),
    # p_t = ¾ and ¼: (1 − p_t)² = 1/16 and 9/16.
    ("focal", {"alpha": None}, [Z, Z], [1, 0], (LN43 / 16 + 9 / 16 * LN4) / 2),
    ("focal", {"alpha": 0.25}, [Z, Z], [1, 0], (LN43 / 16 / 4 + 9 / 16 * LN4 * 3 / 4) / 2),
    # The two hardest of four.
    ("top_k", {"fraction": 0.5}, [Z, 0, Z, -Z], [1, 1, 0, 0], (LN4 + LN2) / 2),
    ("top_k", {"fraction": 0.1}, [Z, 0, Z, -Z], [1, 1, 0, 0], LN4),
    # p = (¾, ¾), t = (1, 0): tp = ¾, fp = ¾, fn = ¼.
    ("dice", {"smooth": 0}, [Z, Z], [1, 0], 1 - 1.5 / 2.5),
    ("dice", {"smooth": 1}, [Z, Z], [1, 0], 1 - 2.5 / 3.5),
    ("log_cosh_dice", {"smooth": 0}, [Z, Z], [1, 0], log(cosh(0.4))),
    ("iou", {"smooth": 0}, [Z, Z], [1, 0], 1 - 0.75 / 1.75),
    ("tversky", {"smooth": 0}, [Z, Z], [1, 0], 1 - 0.75 / (0.75 + 0.3 * 0.75 + 0.7 * 0.25)),
    ("focal_tversky", {"smooth": 0, "gamma": 2}, [Z, Z], [1, 0], sqrt(0.4 / 1.15)),
    # Σpt = ¾, Σp² = 9/8, Σt² = 1.
    ("squared_dice", {"smooth": 0}, [Z, Z], [1, 0], 1 - 1.5 / (9 / 8 + 1)),
    ("generalized_dice", {}, [Z, Z], [1, 0], 0.4),
    ("generalized_dice", {"smooth": 0.5}, [Z, Z], [1, 0], 1 / 3),
    ("tversky", {"smooth": 0, "alpha": 1, "beta": 2}, [Z, Z], [1, 0], 1.25 / 2),
    # Squared errors 1/16 on the object and 9/16 on the background.
    ("sensitivity_specificity", {}, [Z, Z], [1, 0], 0.05 / 16 + 0.95 * 9 / 16),
    ("sensitivity_specificity", {"weight": 1}, [Z, Z], [0, 0], 0),
    # Σ|p − t| = 1, Σp + Σt = 5/2: as iou and dice. With ε = 1 the truth of both is ½: Σ|p − t| = ½.
    ("jaccard_metric", {}, [Z, Z], [1, 0], 1 - 0.75 / 1.75),
    ("jaccard_metric", {"form": "dice"}, [Z, Z], [1, 0], 0.4),
    ("jaccard_metric", {"boundary_smoothing": 1}, [Z, Z], [1, 0], 1 / 3),
    # p_t = ¾, ½, ¼, ¾: two are not above 0.7, one not above 0.3; at least two of four.
    ("ohem", {}, [Z, 0, Z, -Z], [1, 1, 0, 0], (LN2 + LN4) / 2),
    ("ohem", {"threshold": 0.3}, [Z, 0, Z, -Z], [1, 1, 0, 0], LN4),
    ("ohem", {"threshold": 0.1, "least": 0.5}, [Z, 0, Z, -Z], [1, 1, 0, 0], (LN2 + LN4) / 2),
    # D = 1/16 + 9/16, I = ¾; the one pixel is at the edge: α = −1.
    ("boundary_dou", {"smooth": 0}, [Z, Z], [1, 0], 0.625 / (0.625 + 2 * 0.75)),
    # Distances of the truth (−1, 1), and of the prediction none: it is full.
    ("hausdorff", {"sides": "both"}, [Z, Z], [1, 0], (1 / 16 + 9 / 16) / 2),
    # Those of the prediction (1, −1) besides.
    ("hausdorff", {"sides": "both"}, [-Z, Z], [1, 0], (2 * 9 / 16 + 2 * 9 / 16) / 2),
    # An empty mask with p = ¾, ¾.
    ("dice", {}, [Z, Z], [0, 0], 1.5 / 2.5),
    ("dice", {"empty": "skip"}, [Z, Z], [0, 0], 0),
    ("iou", {}, [Z, Z], [0, 0], 1.5 / 2.5),
    ("tversky", {}, [Z, Z], [0, 0], 0.45 / 1.45),
    ("squared_dice", {}, [Z, Z], [0, 0], (9 / 8) / (9 / 8 + 1)),
    ("mcc", {}, [Z, Z], [0, 0], 0),
    ("boundary", {}, [Z, Z], [0, 0], 0),
    ("hausdorff", {}, [Z, Z], [1, 1], 0),
    # tp = ¾, tn = ¾, fp = fn = ¼: (9/16 − 1/16)/1.
    ("mcc", {}, [Z, -Z], [1, 0], 1 / 2),
    ("mcc", {}, [-Z, Z], [1, 0], 3 / 2),
    ("mcc", {}, [Z, Z], [1, 0], 1),
    # Hinge errors 1 − ln 3 < 0 → 0 and 1 + ln 3. Wrong alone: IoU = ½, so J = ½.
    ("lovasz", {}, [Z, Z], [1, 0], (1 + Z) / 2),
    # Errors: class (¼, ¾), background the same. Class: J({2}) = ½, J({2, 1}) = 1: ¾·½ + ¼·½ = ½.
    # Background: truth is pixel 2, so J({2}) = 1, J({2, 1}) = 1: ¾. Mean ⅝.
    ("lovasz", {"activation": "softmax"}, [Z, Z], [1, 0], 5 / 8),
    # φ = (−1, 1, 2): inside, next to it, two away; p − t = (−¼, ¾, ½).
    ("boundary", {}, [Z, Z, 0], [1, 0, 0], (1 / 4 + 3 / 4 + 2 / 2) / 3),
    ("hausdorff", {}, [Z, Z, 0], [1, 0, 0], (1 / 16 + 9 / 16 + 4 / 4) / 3),
    ("hausdorff", {"alpha": 1}, [Z, Z, 0], [1, 0, 0], (1 / 16 + 9 / 16 + 2 / 4) / 3),
    # β = ¾: ¾·−ln ¾ and ¼·−ln ¼; Dice loss 0.4.
    (
        "combo",
        {"alpha": 0.5, "beta": 0.75, "smooth": 0},
        [Z, Z],
        [1, 0],
        (0.75 * LN43 + 0.25 * LN4) / 4 + 0.2,
    ),
    # Dice = 0.6; weights 1.
    (
        "exponential_log",
        {"gamma": 2, "weight": 0.5, "smooth": 0, "pos_weight": "none"},
        [Z, Z],
        [1, 0],
        log(0.6) ** 2 / 2 + (LN43**2 + LN4**2) / 4,
    ),
    # Dice = (1.5 + 1)/(2.5 + 1).
    ("exponential_log", {"gamma": 1, "weight": 1}, [Z, Z], [1, 0], log(3.5 / 2.5)),
    (
        "exponential_log",
        {"gamma": 1, "weight": 0, "pos_weight": 3},
        [Z, Z],
        [1, 0],
        (3 * LN43 + LN4) / 2,
    ),
    # √3 on the one foreground pixel of four.
    (
        "exponential_log",
        {"gamma": 1, "weight": 0, "pos_weight": "balanced"},
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        (sqrt(3) + 3) / 4 * LN2,
    ),
    # δ = ½, γ = ½: ½·LN43 and ½·√¾·LN4; TI of foreground ¾/(¾ + ½), of background ¼/(¼ + ½).
    (
        "unified_focal",
        {"weight": 0.5, "delta": 0.5, "gamma": 0.5, "smooth": 0},
        [Z, Z],
        [1, 0],
        ((LN43 + sqrt(0.75) * LN4) / 4 / 2 + (sqrt(0.4) + 2 / 3) / 2) / 2,
    ),
    # s = 1: (1 − TI) is ½/(¾ + ½ + 1) for foreground and ½/(¼ + ½ + 1) for background.
    (
        "unified_focal",
        {"weight": 0, "delta": 0.5, "gamma": 0, "smooth": 1},
        [Z, Z],
        [1, 0],
        (0.5 / 2.25 + 0.5 / 1.75) / 2,
    ),
    ("focal_tversky", {"smooth": 0, "gamma": 1, "alpha": 1, "beta": 2}, [Z, Z], [1, 0], 1.25 / 2),
    (
        "sum",
        {
            "terms": [
                {"loss": {"kind": "mae"}, "weight": 2},
                {"loss": {"kind": "dice", "smooth": 0}, "weight": 3},
            ]
        },
        [Z, Z],
        [1, 0],
        2 * (1 / 4 + 3 / 4) / 2 + 3 * 0.4,
    ),
]


@pytest.mark.parametrize(("kind", "options", "logits", "target", "expected"), TABLE)
def test_value_is_the_one_derived_by_hand(
    kind: str, options: dict[str, Any], logits: list[float], target: list[int], expected: float
) -> None:
    value = kind_loss(kind, **options)(torch.tensor([[[logits]]]).float(), torch.tensor([[[target]]]))
    assert float(value) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def two_images() -> tuple[Tensor, Tensor]:
    """Logits 0 on two pixels each; the first image's mask holds both pixels, the second's is empty."""
    return torch.zeros(2, 1, 1, 2), torch.tensor([1, 1, 0, 0]).view(2, 1, 1, 2)


def test_reduce_says_whether_images_are_pooled() -> None:
    # tp, fp, fn: (1, 0, 1) and (0, 1, 0); pooled (1, 1, 1).
    for reduce, expected in (("sample", (1 / 3 + 1) / 2), ("batch", 2 / 4)):
        assert float(kind_loss("dice", smooth=0, reduce=reduce)(*two_images())) == pytest.approx(expected)


def test_empty_skip_leaves_empty_masks_out_of_the_mean() -> None:
    loss = kind_loss("dice", smooth=0, reduce="sample", empty="skip")
    assert float(loss(*two_images())) == pytest.approx(1 / 3)


OVERLAP_ALONE: dict[str, dict[str, Any]] = {"combo": {"alpha": 0}, "exponential_log": {"weight": 1}}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if hasattr(registry.resolve(kind), "empty")])
def test_with_empty_skip_a_batch_costs_what_its_images_with_a_mask_cost(kind: str) -> None:
    logits, target = two_images()
    skip, count = (
        kind_loss(kind, reduce="sample", empty=empty, **OVERLAP_ALONE.get(kind, {})) for empty in ("skip", "count")
    )
    assert skip(logits, target) == skip(logits[:1], target[:1]) == count(logits[:1], target[:1])
    assert count(logits, target) != skip(logits, target)
    assert skip(logits[1:], target[1:]) == 0


def test_generalized_dice_weighs_a_class_by_the_inverse_square_of_its_size() -> None:
    # Class 0: 2 pixels of 4, class 1: 1; p = ½ throughout. tp = 1, ½; wrong = 2, 2.
    target = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0]]).view(1, 2, 1, 4)
    for weights, (w0, w1) in {"square": (1 / 4, 1), "simple": (1 / 2, 1), "uniform": (1, 1)}.items():
        right, wrong = w0 * 1 + w1 * 0.5, w0 * 2 + w1 * 2
        value = kind_loss("generalized_dice", weights=weights)(torch.zeros(1, 2, 1, 4), target)
        assert float(value) == pytest.approx(wrong / (2 * right + wrong), rel=1e-5)


def test_generalized_dice_gives_an_empty_class_the_largest_weight_of_the_others() -> None:
    target = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]]).view(1, 2, 1, 4)
    # w = ¼ and ¼; tp = 1, 0; wrong = 2, 2.
    value = kind_loss("generalized_dice")(torch.zeros(1, 2, 1, 4), target)
    assert float(value) == pytest.approx(4 / (2 + 4), rel=1e-5)


def test_cross_entropy_gives_a_pixel_of_two_planes_to_the_later_class() -> None:
    logits = torch.tensor([0.0, 5.0]).view(1, 2, 1, 1)
    both, later = (torch.tensor(planes).view(1, 2, 1, 1) for planes in ([1, 1], [0, 1]))
    assert kind_loss("cross_entropy")(logits, both) == kind_loss("cross_entropy")(logits, later)
