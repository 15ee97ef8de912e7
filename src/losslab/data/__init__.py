"""Data sets: how each kind is fetched and becomes tensors, one file per kind.

A data set's entry in params.yaml has a `kind`, the options of its download and the options of its extraction, apart
so that changing how masks are drawn never fetches anything again. To add a kind, write its file and add its line to
`KINDS`. Nothing here imports torch.
"""

from losslab.data.dataset import Dataset
from losslab.settings.registry import Registry

__all__ = ["KINDS", "Dataset", "registry"]


KINDS = {
    "cifar_colour": "cifar_colour:CifarColour",
    "coco": "coco.dataset:Coco",
    "flowers17": "mask_files.flowers17:Flowers17",
    "mask_folder": "mask_files.mask_folder:MaskFolder",
    "purdue_shapes": "purdue_shapes:PurdueShapes",
}

registry: Registry[Dataset] = Registry(__name__, KINDS)
