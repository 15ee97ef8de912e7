"""17 Category Flower Dataset (Nilsback and Zisserman, Oxford, 2006): photographs, and trimaps of part of them.

Official files: `17flowers.tgz` with `jpg/image_0001.jpg` to `image_1360.jpg`, `trimaps.tgz` with
`trimaps/image_0001.png` and so on, and `datasplits.mat` with three partitions, lists of image numbers: `trn1`, `val1`,
`tst1` to `trn3`, `val3`, `tst3`. There are trimaps for 13 of the 17 kinds of flower, 848 by the count of a mirror; an
image without one is left out. The official host could not be asked when this was written.

A trimap pixel is the flower, background, or was left unlabelled: borders and doubtful places. The flower is drawn in
`#800000`, background in `#808000`, and unlabelled is black, by the code of three programs that read them; another
colour is an error. Unlabelled pixels are void; extract.json says how many there are.
"""

import io
import re
from collections import Counter
from collections.abc import Set
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, StringConstraints

from losslab.data.dataset import Dataset
from losslab.data.extraction import FileOptions
from losslab.data.mask_files.label_maps import Labels
from losslab.data.mask_files.pairs import Pair, Pairs, PairSplit, write_pairs
from losslab.data.sources.archives import Files, open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.splits import SPLITS, write_selection
from losslab.errors import InputError
from losslab.settings.schema import Section

FileName = Literal["17flowers.tgz", "trimaps.tgz", "datasplits.mat"]
IMAGES: FileName = "17flowers.tgz"
TRIMAPS: FileName = "trimaps.tgz"
PARTITIONS: FileName = "datasplits.mat"
LISTS = {"train": "trn", "val": "val", "test": "tst"}
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
MAX_PARTITIONS = 1 << 18  # bytes; the official file has 7,487


class Download(Section):
    """Where the three files come from."""

    source: str = "https://www.robots.ox.ac.uk/~vgg/data/flowers/17"
    """The URL below which they are, or a folder that holds them; there `jpg` and `trimaps` may be unpacked."""
    md5: dict[FileName, str] = Field(default_factory=dict)
    """Checksums of the files; of what is not named none is compared."""
    partition: Annotated[int, Field(ge=1, le=3)] = 1
    """Which of the three official partitions; each has 680 training, 340 validation and 340 test images."""


class Extract(FileOptions):
    """How photographs and trimaps become tensors."""

    flower: Colour = "#800000"
    background: tuple[Colour, ...] = ("#808000",)
    void: tuple[Colour, ...] = ("#000000",)
    """Colours in the trimaps; void is what is unlabelled."""


class Flowers17(Dataset):
    """Flower or not, in the official partition's splits."""

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        with Downloads.open() as downloads:
            images = _open(self._file(IMAGES, "jpg", downloads))
            trimaps = _open(self._file(TRIMAPS, "trimaps", downloads))
            partitions = self._file(PARTITIONS, PARTITIONS, downloads)
            lists = read_partition(partitions, self.download.partition)
            image_of, trimap_of = _numbered(images, "jpg"), _numbered(trimaps, "png")
            selection = select(image_of.keys(), trimap_of.keys(), lists)
            numbers = {number for numbers in lists.values() for number in numbers} & trimap_of.keys()
            images.copy({image_of[number]: raw / "images" / _name(number, "jpg") for number in numbers})
            trimaps.copy({trimap_of[number]: raw / "masks" / _name(number, "png") for number in numbers})
        write_selection(raw, selection)

    def _file(self, name: FileName, unpacked: str, downloads: Downloads) -> Path:
        source = self.download.source.rstrip("/")
        location = f"{source}/{name}"
        if "://" not in source and not Path(location).exists():
            location = f"{source}/{unpacked}"
            if not Path(location).exists():
                raise InputError(f"{source}: holds no {name}")
        return downloads.file(location, md5=self.download.md5.get(name))

    def write_tensors(self, raw: Path, out: Path) -> None:
        labels = Labels((self.extract.flower,), self.extract.background, self.extract.void)
        write_pairs(raw, out, "17 Flowers", ("flower",), labels, self.extract)


def read_partition(path: Path, partition: int) -> dict[str, list[int]]:
    """Split → image numbers of one of the official partitions.

    Raises:
        InputError: the file is damaged, lacks a list, or has an image in two of them.
    """
    from scipy.io import loadmat

    if path.stat().st_size > MAX_PARTITIONS:
        raise InputError(f"{path}: has more than {MAX_PARTITIONS} bytes, so it is not {PARTITIONS}")
    names = {split: f"{prefix}{partition}" for split, prefix in LISTS.items()}
    try:
        content: dict[str, Any] = loadmat(io.BytesIO(path.read_bytes()), variable_names=list(names.values()))
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise InputError(f"{path}: damaged, or no MATLAB file ({type(error).__name__}: {error})") from None
    lists = {}
    for split, name in names.items():
        values = content.get(name)
        if values is None or values.dtype.kind not in "iuf" or not np.array_equal(values, np.floor(values)):
            raise InputError(f"{path}: has no list {name} of image numbers")
        lists[split] = sorted(int(value) for value in values.ravel())
    twice = [number for number, count in Counter(chain(*lists.values())).items() if count > 1]
    if twice:
        raise InputError(f"{path}: image {twice[0]} is listed twice in partition {partition}")
    return lists


def select(images: Set[int], trimaps: Set[int], lists: dict[str, list[int]]) -> Pairs:
    """The images of each split that have a trimap; all are given by number.

    Raises:
        InputError: the partition names an image that is not there, or no image of a split has a trimap.
    """
    splits = {}
    for split in SPLITS:
        absent = [number for number in lists[split] if number not in images]
        if absent:
            raise InputError(f"{IMAGES}: lacks {_name(absent[0], 'jpg')}, which {PARTITIONS} has in {split}")
        pairs = [Pair(_name(number, "jpg"), _name(number, "png")) for number in lists[split] if number in trimaps]
        if not pairs:
            raise InputError(f"{TRIMAPS}: has no trimap of any of the {len(lists[split])} images of {split}")
        without = len(lists[split]) - len(pairs)
        splits[split] = PairSplit(LISTS[split], pairs, {"no_trimap": without} if without else {})
    in_none = len(images - {number for numbers in lists.values() for number in numbers})
    if in_none:  # counted once, under train
        splits["train"].left_out["in_no_split"] = in_none
    return Pairs(len(images), len(trimaps), splits)


def _name(number: int, suffix: str) -> str:
    return f"image_{number:04}.{suffix}"


def _open(path: Path) -> Files:
    return open_files(path, path.name if path.is_file() else str(path))


def _numbered(files: Files, suffix: str) -> dict[int, str]:
    """Image number → name."""
    numbered: dict[int, str] = {}
    for name in files.names():
        if match := re.fullmatch(rf"(?:.*/)?image_(\d{{4}})\.{suffix}", name):
            if int(match[1]) in numbered:
                raise InputError(f"{files.location}: holds both {numbered[int(match[1])]} and {name}")
            numbered[int(match[1])] = name
    if not numbered:
        raise InputError(f"{files.location}: holds no image_0001.{suffix} or the like")
    return numbered
