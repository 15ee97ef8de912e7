"""Segmentation losses: pure functions of logits and target, one file per kind.

`build("dice", smooth=1.0)` gives an object; `loss(logits, target)` a scalar to minimise, and
`loss.probabilities(logits)` the values in [0, 1] that a prediction thresholds. To add a loss, write its file,
add its line to `KINDS` and name it in params.yaml; the tests find it by the registry.

A uint8 target may hold 255, void: no loss sees such pixels.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator

from losslab.losses.loss import Loss, at_least_float32, mean
from losslab.settings.overrides import Overrides
from losslab.settings.registry import Registry

__all__ = ["KINDS", "Loss", "LossSpec", "at_least_float32", "build", "mean", "registry"]


KINDS = {
    "bce": "pixel.bce:BCE",
    "blob_dice": "structure.blob_dice:BlobDice",
    "boundary": "boundary.boundary:Boundary",
    "boundary_dou": "boundary.boundary_dou:BoundaryDoU",
    "cl_dice": "structure.cl_dice:ClDice",
    "combo": "compound.combo:Combo",
    "cross_entropy": "pixel.cross_entropy:CrossEntropy",
    "dice": "overlap.dice:Dice",
    "exponential_log": "compound.exponential_log:ExponentialLog",
    "focal": "pixel.focal:Focal",
    "focal_tversky": "overlap.focal_tversky:FocalTversky",
    "generalized_dice": "overlap.generalized_dice:GeneralizedDice",
    "hausdorff": "boundary.hausdorff:Hausdorff",
    "huber": "pixel.huber:Huber",
    "iou": "overlap.iou:IoU",
    "jaccard_metric": "overlap.jaccard_metric:JaccardMetric",
    "log_cosh_dice": "overlap.log_cosh_dice:LogCoshDice",
    "lovasz": "overlap.lovasz:Lovasz",
    "mae": "pixel.mae:MAE",
    "margin_smoothing": "pixel.margin_smoothing:MarginSmoothing",
    "mcc": "overlap.mcc:MCC",
    "mse": "pixel.mse:MSE",
    "ohem": "pixel.ohem:OHEM",
    "report_a_coco": "published.report_a:ReportACocoMSEDice",
    "report_a_dice": "published.report_a:ReportADice",
    "report_a_mse": "published.report_a:ReportAMSE",
    "report_a_mse_dice": "published.report_a:ReportAMSEDice",
    "report_b_dice": "published.report_b:ReportBDice",
    "report_b_mae": "published.report_b:ReportBMAE",
    "report_b_mae_dice": "published.report_b:ReportBMAEDice",
    "report_b_mse": "published.report_b:ReportBMSE",
    "report_b_mse_dice": "published.report_b:ReportBMSEDice",
    "rmi": "structure.rmi:RMI",
    "sensitivity_specificity": "overlap.sensitivity_specificity:SensitivitySpecificity",
    "skeleton_recall": "structure.skeleton_recall:SkeletonRecall",
    "squared_dice": "overlap.squared_dice:SquaredDice",
    "sum": "compound.sum:Sum",
    "top_k": "pixel.top_k:TopK",
    "tversky": "overlap.tversky:Tversky",
    "unified_focal": "compound.unified_focal:UnifiedFocal",
}

registry: Registry[Loss] = Registry(
    __name__, KINDS, given=("exclusive",), own="loss:Loss", adapter="foreign", common={"train": Overrides}
)


def build(kind: str, *, exclusive: bool = False, **options: Any) -> Loss:
    """The loss `kind` with its options; a `pydantic.ValidationError` names what is wrong with them.

    `exclusive` says that every pixel has exactly one of the C classes: probabilities are then a softmax over the C
    planes, and a prediction is the class with the largest.

    >>> import torch
    >>> loss = build("dice", smooth=0)
    >>> logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1, 1], [0, 0]]]])  # every p = ½
    >>> loss(logits, target)
    tensor(0.5000)
    >>> loss.probabilities(logits).unique()
    tensor([0.5000])
    """
    return registry.build({"kind": kind, **options}, exclusive=exclusive)


def _from_spec(spec: Any) -> Any:
    return registry.build(spec) if isinstance(spec, dict) else spec


LossSpec = Annotated[Loss, BeforeValidator(_from_spec)]
"""A loss within a loss: in params.yaml a mapping with `kind` and its options."""
