"""Data sets: how each kind is fetched and becomes tensors, one file per kind.

A data set's entry in params.yaml has a `kind`, the options of its download and the options of its extraction, apart
so that changing how masks are drawn never fetches anything again. To add a kind, write its file and add its line to
`KINDS`. Nothing here imports torch.
"""

from abc import ABC, abstractmethod
from pathlib import Path

from losslab.registry import Registry
from losslab.schema import Section


class Dataset(Section, ABC):
    """One data set. Subclasses have two fields, `download` and `extract`, with the options of these two steps."""

    @abstractmethod
    def fetch(self, raw: Path) -> None:
        """Fill the empty folder `raw` with what the source gives, verified.

        Raises:
            InputError: the source cannot be reached, or what came is not what it should be.
        """

    @abstractmethod
    def write_tensors(self, raw: Path, out: Path) -> None:
        """Read the folder `raw` that `fetch` filled and fill the empty folder `out`.

        Writes `train`, `val` and `test.safetensors` (see `losslab.data.tensors`) and `extract.json`, which accounts
        for every image of the source: kept in a split, or left out for a reason.

        Raises:
            InputError: the raw data cannot be read, or the params select no image.
        """


KINDS = {
    "cifar_colour": "cifar_colour:CifarColour",
    "coco": "coco:Coco",
    "flowers17": "flowers17:Flowers17",
    "mask_folder": "mask_folder:MaskFolder",
    "purdue_shapes": "purdue_shapes:PurdueShapes",
}

registry: Registry[Dataset] = Registry(__name__, KINDS)
