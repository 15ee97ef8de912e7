"""Colour prediction on CIFAR-10 (Krizhevsky, 2009) as segmentation: a grey image in, one of K colours for each pixel.

The colours are found by k-means among the pixels of the training images, and each pixel's class is the nearest of
them: every pixel belongs to one class, none is background. A class is called `rgb_RRGGBB` after its colour;
extract.json has the colours as numbers, in the order of the classes.

The official archive `cifar-10-python.tar.gz` holds `cifar-10-batches-py/data_batch_1` to `data_batch_5` and
`test_batch`: pickles of a dict with `data` uint8 `[10000, 3072]` (R, G, B planes of 32×32) and `labels`.
"""

import io
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from losslab.data.dataset import Dataset
from losslab.data.extraction import Extracted, SplitImages, write_splits
from losslab.data.sources import archives, pickles
from losslab.data.sources.downloads import Downloads
from losslab.data.tensors import Array
from losslab.errors import InputError
from losslab.settings.schema import Count, Section

Category = Literal["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck", "all"]
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"
SIDE = 32
SAMPLE = 50_000  # pixels that k-means sees
STARTS = 8  # k-means is begun so often; the best end counts


class Download(Section):
    """Where the archive is."""

    source: str = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    """URL or file of the archive, or a folder that holds it or the batches."""
    md5: str | None = "c58f30108f718f92721af3b95e74349a"
    """Checksum of the archive; null: not compared."""


class Extract(Section):
    """Which images, and into how many colours."""

    category: Category = "horse"
    colours: Annotated[int, Field(ge=2, le=255)] = 24
    train_images: Count | None = None
    """The most; none: all that are not for validation. One category has 5,000 in the training batches."""
    val_images: Count = 500
    """Drawn from the training batches by `seed`."""
    test_images: Count | None = None
    """The most, the first of the test batch; none: all. One category has 1,000."""
    seed: NonNegativeInt = 0


class CifarColour(Dataset):
    """Grey images and the colour class of each pixel; the official test batch is the test set."""

    TRAINING_IMAGES = ("extract", "train_images")

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        source = self.download.source
        targets = {name: raw / name for name in (*TRAIN, TEST)}
        with Downloads.open() as downloads, tempfile.TemporaryDirectory() as work:
            inner = Path(source, "cifar-10-python.tar.gz")
            path = downloads.file(str(inner) if inner.is_file() else source, md5=self.download.md5)
            files = archives.open_files(path, source)
            members = {name.rpartition("/")[2]: name for name in files.names()}
            missing = targets.keys() - members.keys()
            if missing:
                raise InputError(f"{source}: holds no {min(missing)}")
            # By way of a folder: a batch is read once before it counts as raw data.
            files.copy({members[name]: Path(work, name) for name in targets})
            for name, target in targets.items():
                read_batch(Path(work, name))
                shutil.move(Path(work, name), target)

    def write_tensors(self, raw: Path, out: Path) -> None:
        options = self.extract
        images, labels = (np.concatenate(parts) for parts in zip(*(read_batch(raw / n) for n in TRAIN), strict=True))
        test_images, test_labels = read_batch(raw / TEST)
        wanted, test_wanted = self._of_category(labels), self._of_category(test_labels)
        if options.val_images >= len(wanted):
            raise InputError(
                f"extract.val_images: {options.val_images} leaves none of the {len(wanted)} images for training"
            )
        drawn = np.random.default_rng(options.seed).permutation(wanted)
        train = drawn[options.val_images :][: options.train_images]
        train, val = np.sort(train), np.sort(drawn[: options.val_images])
        test = test_wanted[: options.test_images]
        colours = find_colours(images[train], options.colours, options.seed)

        def extracted(images: Array, indices: NDArray[np.int64]) -> Iterator[Extracted]:
            for index in tqdm(indices, unit="image", disable=None):
                yield int(index), (grey(images[index]), colour_labels(images[index], colours))

        def left_out(labels: NDArray[np.int64], fitting: int, kept: int) -> dict[str, int]:
            return {"other_category": len(labels) - fitting, "not_drawn": fitting - kept}

        # What is in neither of train and validation is counted once, under train.
        train_left_out = left_out(labels, len(wanted), len(train) + len(val))
        splits = {
            "train": SplitImages("data_batch", extracted(images, train), train_left_out),
            "val": SplitImages("data_batch", extracted(images, val)),
            "test": SplitImages(TEST, extracted(test_images, test), left_out(test_labels, len(test_wanted), len(test))),
        }
        names = ["rgb_{:02x}{:02x}{:02x}".format(*colour) for colour in colours.tolist()]
        account = {"source_images": len(labels) + len(test_labels), "colours": colours.tolist()}
        write_splits(out, "CIFAR-10 colours", names, splits, account)

    def _of_category(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        category = self.extract.category
        if category == "all":
            return np.arange(len(labels))
        indices = np.flatnonzero(labels == get_args(Category).index(category))
        if not len(indices):
            raise InputError(f"extract.category: no image shows a {category}")
        return indices


def read_batch(path: Path) -> tuple[Array, NDArray[np.int64]]:
    """The images uint8 `[N, 3, 32, 32]` and the categories `[N]` of one batch.

    Raises:
        InputError: the file is damaged, asks for code or memory that no batch has need of, or is no batch.
    """
    try:
        content = path.read_bytes()
        pickles.check_size(content)
        batch = pickles.load(io.BytesIO(content), len(content))
        data, labels = (batch[key] if key in batch else batch[key.encode()] for key in ("data", "labels"))
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * SIDE * SIDE,):
            raise InputError("its images are not uint8 of 3 × 32 × 32")
        right = isinstance(labels, list) and all(type(label) is int and 0 <= label < 10 for label in labels)
        if not right or len(labels) != len(data):
            raise InputError("its labels are not one of 0 to 9 for each image")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{path}: damaged, or no CIFAR-10 batch ({type(error).__name__}: {error})") from None
    return data.reshape(-1, 3, SIDE, SIDE), np.array(labels, np.int64)


def find_colours(images: Array, count: int, seed: int) -> Array:
    """`[count, 3]` colours, dark to light, by k-means among at most `SAMPLE` pixels of images `[N, 3, H, W]`.

    The best of `STARTS` runs of Lloyd's algorithm from distinct colours drawn by the seed, rounded to whole numbers;
    fewer than `count` only where two round to the same.

    Raises:
        InputError: the images have fewer colours.
    """
    from scipy.cluster.vq import kmeans2, vq

    random = np.random.default_rng(seed)
    pixels = np.moveaxis(images, 1, 3).reshape(-1, 3)
    sample = pixels[random.choice(len(pixels), min(SAMPLE, len(pixels)), replace=False)].astype(np.float64)
    different = np.unique(sample, axis=0)
    best, least = different[:count], np.inf
    if len(different) < count:
        raise InputError(f"extract.colours: {count} is more than the {len(different)} colours of the training images")
    for _ in range(STARTS):
        start = random.choice(different, count, replace=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a centre that no pixel is nearest to stays where it was
            centres, _ = kmeans2(sample, start, iter=30, minit="matrix")
        distortion = float((vq(sample, centres)[1] ** 2).mean())
        if distortion < least:
            best, least = centres, distortion
    colours = np.unique(best.round().astype(np.uint8), axis=0)
    return colours[np.argsort(colours.sum(axis=1, dtype=int), kind="stable")]


def grey(image: Array) -> Array:
    """The mean of the three channels, in each of three: uint8 `[3, H, W]`."""
    mean = (image.sum(axis=0, dtype=np.uint16) + 1) // 3
    return np.broadcast_to(mean.astype(np.uint8), image.shape)


def colour_labels(image: Array, colours: Array) -> Array:
    """Number of the nearest colour of each pixel of `[3, H, W]`, uint8 `[H, W]`; of equals the first."""
    differences = image.astype(np.int32)[None] - colours.astype(np.int32)[:, :, None, None]  # [K, 3, H, W]
    labels: Array = (differences**2).sum(axis=1).argmin(axis=0).astype(np.uint8)
    return labels
