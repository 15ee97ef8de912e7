"""The images of every split become tensors, and extract.json accounts for each of them: kept, or left out for a reason.

All kinds of data sets are written here; a kind says which images there are and what each is like.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt

from losslab.data.tensors import Array, Writer
from losslab.errors import InputError
from losslab.results.files import write_json
from losslab.settings.schema import Count, Section

Extracted = tuple[str | int, tuple[Array, Array] | str]
"""An image's id, and its pixels `[3, H, W]` and masks `[C, H, W]`, or the reason why there are none."""


class FileOptions(Section):
    """How image files become tensors, whatever the masks are."""

    image_size: Annotated[int, Field(ge=8, le=4096)]
    """Pixels; the side of the square that every image is fitted into, whatever its size."""
    max_unreadable: NonNegativeInt = 10
    """Images that may be missing, damaged or at odds with their masks; they are left out and listed."""
    workers: Count | None = None
    """Processes; none: one for each processor. The result is the same."""


@dataclass(frozen=True)
class SplitImages:
    """One split of a data set.

    Args:
        source: the source's name of the split.
        images: each image, read once.
        left_out: reason → how many images of the source are not among `images`.
        account: what else extract.json says of the split; as `left_out`, looked at when all images have been read.
    """

    source: str
    images: Iterable[Extracted]
    left_out: Mapping[str, int] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)


def write_splits(
    out: Path,
    dataset: str,
    classes: Sequence[str],
    splits: Mapping[str, SplitImages],
    account: Mapping[str, Any],
    max_unreadable: int | None = None,
) -> None:
    """Fill `out` with the tensors of every split and extract.json.

    Args:
        out: an empty folder.
        dataset: what the metadata of the tensors call the data set.
        classes: names of the planes.
        splits: split → its images.
        account: what else extract.json says; looked at when all images have been read.
        max_unreadable: how many images may have a reason in place of pixels; they are listed. None: every image is
            known to be readable, and there is no such list.

    Raises:
        InputError: too many images are unreadable, no image of a split is left, or the images for training or for
            validation show nothing of any class.
    """
    unreadable: list[dict[str, Any]] = []
    accounts: dict[str, Any] = {}
    for name, split in splits.items():
        reasons: Counter[str] = Counter()
        shows_any = False
        with Writer(out / f"{name}.safetensors", dataset=dataset, classes=classes, source=split.source) as writer:
            for image_id, result in split.images:
                if not isinstance(result, str):
                    writer.append(str(image_id), *result)
                    shows_any = shows_any or bool(result[1].any())
                    continue
                reasons[result] += 1
                unreadable.append({"split": name, "id": image_id, "reason": result})
                if len(unreadable) > (max_unreadable or 0):
                    listed = ", ".join("{split} {id} ({reason})".format(**entry) for entry in unreadable[:5])
                    raise InputError(f"more than extract.max_unreadable images cannot be read: {listed}")
            left_out = dict(Counter(split.left_out) + reasons)  # the sum is without counts of 0
            if not writer.ids:
                raise InputError(f"no image of {name} is left: {left_out}")
            if not shows_any and name != "test":
                raise InputError(
                    f"none of the {len(writer.ids)} images of {name} shows anything of {', '.join(classes)}: every mask"
                    " is empty; see the data set's params"
                )
        accounts[name] = {"kept": len(writer.ids), "left_out": left_out, **split.account}
    listing = {} if max_unreadable is None else {"unreadable": unreadable}
    write_json(out / "extract.json", {**account, "splits": accounts, **listing})
