"""What a data set is: how it is fetched, and how it becomes tensors."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from losslab.settings.schema import Section


class Dataset(Section, ABC):
    """One data set. Subclasses have two fields, `download` and `extract`, with the options of these two steps."""

    TRAINING_IMAGES: ClassVar[tuple[str, ...]] = ("download", "max_images", "train")
    """Where among the options it stands how many training images there are to be; null means all."""

    @classmethod
    def to_fetch(cls, download: Mapping[str, Any]) -> Self:
        """A data set that can be fetched and no more: what `extract` says is to fetch nothing again."""
        options: Any = cls.model_fields["download"].annotation
        return cls.model_construct(download=options.model_validate(download))

    @classmethod
    def pooled(cls, spec: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
        """The options of a data set, changed so that it has every training image of its source; and how many it had.

        None where `spec` asks for every one, or no number of images can be asked for.
        """
        whole = copy.deepcopy(dict(spec))
        *sections, option = cls.TRAINING_IMAGES
        inner = whole
        for section in sections:
            inner = inner.get(section) or {}
        most = inner.get(option)
        if most is not None:
            inner[option] = None
        return whole, most

    @abstractmethod
    def fetch(self, raw: Path) -> None:
        """Fill the empty folder `raw` with what the source gives, verified; `download` says how, `extract` is not read.

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
