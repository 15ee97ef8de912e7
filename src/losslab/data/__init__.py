"""Data sets: an entry of params.yaml goes in; raw files, then tensors of three splits, come out.

Each kind has a file with a `Dataset`: `fetch` fills data/raw with verified files of a URL, a package or a folder, and
`write_tensors` makes of them `train`, `val` and `test.safetensors` and extract.json, which accounts for every image of
the source. The options of the two are apart, so that changing how masks are drawn never fetches anything again. To add
a kind, write its file and add its line to `KINDS`. Nothing here imports torch.
"""

from losslab.data.dataset import Dataset
from losslab.settings.registry import Registry

__all__ = ["KINDS", "Dataset", "registry"]


KINDS = {
    "cifar_colour": "particular.cifar_colour:CifarColour",
    "coco": "coco.dataset:Coco",
    "flowers17": "mask_files.flowers17:Flowers17",
    "label_studio": "exports.label_studio.dataset:LabelStudio",
    "mask_folder": "mask_files.mask_folder:MaskFolder",
    "purdue_shapes": "purdue_shapes:PurdueShapes",
    "thin_structures": "particular.thin_structures:ThinStructures",
    "yolo": "exports.yolo.dataset:Yolo",
}

registry: Registry[Dataset] = Registry(__name__, KINDS, own="dataset:Dataset")
