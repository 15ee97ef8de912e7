"""The same formulas in other people's code, and the options under which they are the same.

Each entry gives a kind with its options and a function that builds the other implementation as
`f(logits, target)`. Libraries are imported by that function: some take many seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Oracle:
    """A kind with options, and another implementation of its formula."""

    kind: str
    library: str
    make: Callable[[], Function]
    options: dict[str, Any] = field(default_factory=dict)
    classes: int = 4
    logits: Callable[[Tensor], Tensor] = lambda logits: logits
    """The part of the range on which the two agree."""


def with_float_target(function: Function) -> Function:
    return lambda logits, target: function(logits, target.float())


def torch_mse() -> Function:
    return lambda z, t: functional.mse_loss(z.sigmoid(), t.float())


def torch_mae() -> Function:
    return lambda z, t: functional.l1_loss(z.sigmoid(), t.float())


def torch_huber() -> Function:
    return lambda z, t: functional.huber_loss(z.sigmoid(), t.float(), delta=0.2)


def torch_raw_mse() -> Function:
    return lambda z, t: functional.mse_loss(z, 255 * t.float())


def torch_bce(pos_weight: float = 1.0) -> Function:
    weight = torch.tensor(pos_weight)
    return lambda z, t: functional.binary_cross_entropy_with_logits(z, t.float(), pos_weight=weight.to(z.device))


def smp_soft_bce() -> Function:
    from segmentation_models_pytorch.losses import SoftBCEWithLogitsLoss

    return with_float_target(SoftBCEWithLogitsLoss(smooth_factor=0.05))


def background_and_indices(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    ranks = torch.arange(1, 1 + target.shape[1], dtype=torch.uint8, device=target.device).view(1, -1, 1, 1)
    return functional.pad(logits, (0, 0, 0, 0, 1, 0)), (target * ranks).amax(1).long()


def with_background(function: Function) -> Function:
    """`function` of logits and planes in which the background is the first class."""

    def value(logits: Tensor, target: Tensor) -> Tensor:
        padded, indices = background_and_indices(logits, target)
        return function(padded, functional.one_hot(indices, padded.shape[1]).permute(0, 3, 1, 2).float())

    return value


def torch_cross_entropy(weight: list[float] | None = None, smoothing: float = 0.0) -> Function:
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float32)
    return lambda z, t: functional.cross_entropy(*background_and_indices(z, t), weights, label_smoothing=smoothing)


def smp_soft_cross_entropy() -> Function:
    from segmentation_models_pytorch.losses import SoftCrossEntropyLoss

    loss = SoftCrossEntropyLoss(smooth_factor=0.1)
    return lambda z, t: loss(*background_and_indices(z, t))


def torchvision_focal() -> Function:
    from torchvision.ops import sigmoid_focal_loss

    return lambda z, t: sigmoid_focal_loss(z, t.float(), alpha=0.25, gamma=2.0, reduction="mean")


def monai_focal(alpha: float | None = 0.25, gamma: float = 2.0) -> Function:
    from monai.losses import FocalLoss

    return with_float_target(FocalLoss(gamma=gamma, alpha=alpha))


def monai_dice(batch: bool = True, **options: Any) -> Function:
    from monai.losses import DiceLoss

    return with_float_target(DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, batch=batch, **options))


def monai_softmax(name: str, **options: Any) -> Function:
    from monai import losses

    return with_background(getattr(losses, name)(softmax=True, **options))


def monai_softmax_focal() -> Function:
    from monai.losses import FocalLoss

    loss = FocalLoss(gamma=2.0, alpha=0.25, use_softmax=True)
    # It averages over all planes, of which all but the pixel's class are 0.
    return with_background(lambda z, t: z.shape[1] * loss(z, t))


def smp_softmax(name: str, **options: Any) -> Function:
    from segmentation_models_pytorch import losses

    loss = getattr(losses, name)("multiclass", **options)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        padded, indices = background_and_indices(logits, target)
        return loss(padded, indices)

    return value


def monai_log_cosh_dice() -> Function:
    dice = monai_dice()
    return lambda z, t: dice(z, t).cosh().log()


def monai_generalized_dice(batch: bool, weights: str) -> Function:
    from monai.losses import GeneralizedDiceLoss

    return with_float_target(GeneralizedDiceLoss(sigmoid=True, w_type=weights, smooth_nr=0, smooth_dr=0, batch=batch))


def monai_tversky() -> Function:
    from monai.losses import TverskyLoss

    return with_float_target(TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0, batch=True))


def smp_overlap(name: str, **options: Any) -> Function:
    from segmentation_models_pytorch import losses

    return with_float_target(getattr(losses, name)("multilabel", smooth=1.0, **options))


def smp_mcc() -> Function:
    from segmentation_models_pytorch.losses import MCCLoss

    loss = MCCLoss()
    return lambda z, t: loss(z.sigmoid(), t.float())


def smp_lovasz_hinge() -> Function:
    from segmentation_models_pytorch.losses import LovaszLoss

    return with_float_target(LovaszLoss("binary"))


def smp_lovasz_softmax() -> Function:
    from segmentation_models_pytorch.losses import LovaszLoss

    loss = LovaszLoss("multiclass", from_logits=True)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        padded, indices = background_and_indices(logits, target)
        return loss(padded, indices)

    return value


def kornia_lovasz_hinge() -> Function:
    from kornia.losses import lovasz_hinge_loss

    return lambda z, t: lovasz_hinge_loss(z, t[:, 0].float())


def monai_hausdorff() -> Function:
    from monai.losses import HausdorffDTLoss

    return with_float_target(HausdorffDTLoss(sigmoid=True, include_background=True, alpha=2.0))


def monai_unified_focal() -> Function:
    from monai.losses import AsymmetricUnifiedFocalLoss

    loss = AsymmetricUnifiedFocalLoss(weight=0.4, delta=0.6, gamma=0.5)

    # Its docstring asks for logits, but it takes probabilities.
    return lambda z, t: loss(z.sigmoid(), t.float())


def monai_dice_ce() -> Function:
    from monai.losses import DiceCELoss

    loss = DiceCELoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, batch=True, lambda_dice=0.5, lambda_ce=2.0)
    return with_float_target(loss)


def monai_combo() -> Function:
    dice = monai_dice()

    def value(logits: Tensor, target: Tensor) -> Tensor:
        weight = torch.where(target > 0, 0.8, 0.2)
        entropy = functional.binary_cross_entropy_with_logits(logits, target.float(), weight)
        return 0.3 * entropy + 0.7 * dice(logits, target)

    return value


SOFT = {"activation": "softmax"}
WHOLE = SOFT | {"include_background": True}
SMOOTH = {"smooth_nr": 1.0, "smooth_dr": 1.0, "batch": True}
UNSMOOTHED = {"smooth_nr": 0, "smooth_dr": 0, "batch": True}
DICE_CE_SOFTMAX = [{"loss": {"kind": "cross_entropy"}}, {"loss": {"kind": "dice", **WHOLE}}]
DICE_CE = [{"loss": {"kind": "dice"}, "weight": 0.5}, {"loss": {"kind": "bce"}, "weight": 2.0}]

ORACLES = [
    Oracle("mse", "torch", torch_mse),
    Oracle("mae", "torch", torch_mae),
    Oracle("huber", "torch", torch_huber, {"delta": 0.2}),
    Oracle("bce", "torch", torch_bce),
    Oracle("bce", "torch", lambda: torch_bce(3.0), {"pos_weight": 3.0}),
    Oracle("bce", "smp", smp_soft_bce, {"label_smoothing": 0.1}),
    Oracle("cross_entropy", "torch", torch_cross_entropy),
    Oracle(
        "cross_entropy",
        "torch",
        lambda: torch_cross_entropy([1, 2, 3, 4, 5], 0.2),
        {"class_weights": [1, 2, 3, 4, 5], "label_smoothing": 0.2},
    ),
    Oracle("cross_entropy", "smp", smp_soft_cross_entropy, {"label_smoothing": 0.1}),
    Oracle("focal", "torchvision", torchvision_focal),
    Oracle("focal", "monai", monai_focal),
    Oracle("focal", "monai", lambda: monai_focal(None, 0.5), {"alpha": None, "gamma": 0.5}),
    Oracle("dice", "monai", monai_dice),
    Oracle("dice", "monai", lambda: monai_dice(batch=False), {"reduce": "sample"}),
    # smp smooths the Tversky form, in which the sums are half as large.
    Oracle("dice", "smp", lambda: smp_overlap("DiceLoss"), {"smooth": 2.0}),
    Oracle("squared_dice", "monai", lambda: monai_dice(squared_pred=True)),
    Oracle("squared_dice", "monai", lambda: monai_dice(batch=False, squared_pred=True), {"reduce": "sample"}),
    Oracle("generalized_dice", "monai", lambda: monai_generalized_dice(True, "square")),
    Oracle(
        "generalized_dice",
        "monai",
        lambda: monai_generalized_dice(False, "simple"),
        {"reduce": "sample", "weights": "simple"},
    ),
    Oracle("generalized_dice", "monai", lambda: monai_generalized_dice(True, "uniform"), {"weights": "uniform"}),
    Oracle("log_cosh_dice", "monai", monai_log_cosh_dice, classes=1),
    # MONAI's smoothing is added to twice the intersection and twice the union.
    Oracle("iou", "monai", lambda: monai_dice(jaccard=True), {"smooth": 0.5}),
    Oracle("iou", "smp", lambda: smp_overlap("JaccardLoss")),
    Oracle("tversky", "monai", monai_tversky),
    Oracle("tversky", "smp", lambda: smp_overlap("TverskyLoss", alpha=0.3, beta=0.7)),
    Oracle("focal_tversky", "smp", lambda: smp_overlap("TverskyLoss", alpha=0.3, beta=0.7, gamma=0.75), classes=1),
    Oracle("mcc", "smp", smp_mcc, classes=1),
    Oracle("lovasz", "smp", smp_lovasz_hinge, classes=1),
    Oracle("lovasz", "kornia", kornia_lovasz_hinge, {"reduce": "sample"}, classes=1),
    Oracle("lovasz", "smp", smp_lovasz_softmax, {"activation": "softmax"}),
    Oracle("hausdorff", "monai", monai_hausdorff, {"sides": "both"}),
    # MONAI adds the distances of the prediction, which are 0 where it finds nothing.
    Oracle("hausdorff", "monai", monai_hausdorff, logits=lambda logits: -logits.abs()),
    Oracle(
        "unified_focal",
        "monai",
        monai_unified_focal,
        {"weight": 0.4, "reduce": "sample", "smooth": 1e-7},
        classes=1,
    ),
    Oracle("sum", "monai", monai_dice_ce, {"terms": DICE_CE}, classes=1),
    Oracle("combo", "monai + torch", monai_combo, {"alpha": 0.3, "beta": 0.8}),
    Oracle("report_a_mse", "torch", torch_raw_mse, {"labels": 255}),
    # Softmax over background and classes; background in the mean, and out of it.
    Oracle("dice", "monai", lambda: monai_softmax("DiceLoss", **SMOOTH), WHOLE),
    Oracle("dice", "monai", lambda: monai_softmax("DiceLoss", include_background=False, **SMOOTH), SOFT),
    Oracle("dice", "smp", lambda: smp_softmax("DiceLoss", smooth=1.0), WHOLE | {"smooth": 2.0}),
    Oracle("dice", "smp", lambda: smp_softmax("DiceLoss", smooth=1.0, classes=[1, 2, 3, 4]), SOFT | {"smooth": 2.0}),
    Oracle("iou", "smp", lambda: smp_softmax("JaccardLoss", smooth=1.0), WHOLE),
    Oracle("iou", "monai", lambda: monai_softmax("DiceLoss", jaccard=True, **SMOOTH), WHOLE | {"smooth": 0.5}),
    Oracle("tversky", "monai", lambda: monai_softmax("TverskyLoss", alpha=0.3, beta=0.7, **SMOOTH), WHOLE),
    Oracle("tversky", "smp", lambda: smp_softmax("TverskyLoss", alpha=0.3, beta=0.7, smooth=1.0), WHOLE),
    Oracle("squared_dice", "monai", lambda: monai_softmax("DiceLoss", squared_pred=True, **SMOOTH), WHOLE),
    Oracle("generalized_dice", "monai", lambda: monai_softmax("GeneralizedDiceLoss", **UNSMOOTHED), WHOLE),
    Oracle("focal", "monai", monai_softmax_focal, SOFT),
    Oracle("sum", "monai", lambda: monai_softmax("DiceCELoss", **SMOOTH), {"terms": DICE_CE_SOFTMAX}),
]
