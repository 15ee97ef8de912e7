"""Image files to small images, and masks to small masks; whatever cannot be read has a named reason.

Files come from anywhere, so nothing is decoded before its header is believable.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from losslab.data.tensors import Array

MAX_PIXELS = 100_000_000
MAX_SIDE = 65_535  # of a JPEG; sums take a step for each row
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")  # not EPS and the like, which start programs
ORIENTATION = 0x0112  # EXIF tag; its value → what to do with the stored image
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


BITS_PER_SAMPLE = 258  # TIFF tag


class Unusable(Exception):
    """This image is left out; the message is the reason, one word."""


def read_image(path: Path, width: int, height: int, size: int) -> Array:
    """The image reduced to uint8 `[3, size, size]`, RGB; `width` and `height` are what its record says.

    EXIF orientation is applied where the record's size agrees with the turned image.

    Raises:
        Unusable: there is no such file, it is empty, no image, damaged, or of another size than the record says.
    """
    with opened(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        turn = TURNS.get(orientation)
        if (image.size[::-1] if orientation in {5, 6, 7, 8} else image.size) != (width, height):
            turn = None
            if image.size != (width, height):
                raise Unusable("size_disagrees")
        # A JPEG can be decoded at 1/2, 1/4 or 1/8, averaged; twice the size wanted is left for the filter.
        drafted = image.draft(None, (2 * size, 2 * size))
        small = _rgb(image).resize((size, size), Image.Resampling.BILINEAR, box=drafted[1] if drafted else None)
        if turn is not None:
            small = small.transpose(turn)
        return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def read_photo(path: Path) -> Image.Image:
    """The whole image in RGB, turned as its EXIF orientation says.

    Raises:
        Unusable: there is no such file, it is empty, no image, too large or damaged.
    """
    with opened(path) as image:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
        rgb = _rgb(image)
        return rgb.copy() if turn is None else rgb.transpose(turn)


@contextmanager
def opened(path: Path, what: str = "") -> Iterator[Image.Image]:
    """The image, its header believed and its pixels not yet decoded; what goes wrong within becomes `Unusable`.

    `what` stands before each reason.
    """
    if not path.is_file():
        raise Unusable(f"{what}missing")
    if path.stat().st_size == 0:
        raise Unusable(f"{what}empty_file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities of metadata, and large headers, which are checked here
        try:
            image = Image.open(path, formats=FORMATS)
        except Exception as error:  # hostile files make Pillow raise almost anything
            bomb = isinstance(error, Image.DecompressionBombError)
            raise Unusable(what + ("too_large" if bomb else "not_an_image")) from None
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise Unusable(f"{what}too_large")
            try:
                yield image
            except (Unusable, MemoryError):
                raise
            except Exception:
                raise Unusable(f"{what}damaged") from None


def _rgb(image: Image.Image) -> Image.Image:
    """RGB of 8 bits. Of 16 bits the upper 8 count, of a TIFF that says 12 the upper 8 of these.

    Raises:
        Unusable: `bits_unclear` where no value of 16 bits is over 4,095, as if 12 or 8 were meant;
            `not_8_to_16_bits` for 32-bit and floating-point values, of which no file says what is white.
    """
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        tags = getattr(image, "tag_v2", {})
        shift = 4 if tags.get(BITS_PER_SAMPLE) in (12, (12,)) else 8
        if shift == 8 and 0 < values.max() < 1 << 12:
            raise Unusable("bits_unclear")
        return Image.fromarray((values >> shift).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise Unusable("not_8_to_16_bits")
    return image if image.mode == "RGB" else image.convert("RGB")


def reduce_mask(mask: Array, size: int) -> Array:
    """`[H, W]` of 0 and 1 to `[size, size]`: 1 where at least half of a small pixel's area is covered, exactly.

    In units of 1/size of a pixel every border falls on a whole number, so that all sums are of integers.
    """
    height, width = mask.shape
    wide = np.int32 if (height + size) * (width + size) < 2**31 else np.int64
    # pycocotools' masks lie column by column: transposed, each sum is of whole rows of memory.
    covered = _sums(np.ascontiguousarray(_sums(mask.T, size, wide).T), size, wide)
    return (2 * covered >= mask.size).astype(np.uint8)


def _sums(rows: NDArray[Any], size: int, wide: type[np.signedinteger]) -> NDArray[Any]:
    """`[N, M]` to `[size, M]`: sums over N/size rows each, in units of 1/size of a row."""
    border, part = np.divmod(np.arange(size + 1) * rows.shape[0], size)
    start, length = border[:-1], np.diff(border)
    # Added row by row for all sums at once: np.add.reduceat works column by column, several times slower. So few
    # rows of 0 and 1 add up within a byte, which is faster still.
    narrow = rows.dtype == np.uint8 and length.max() <= 255
    whole = np.zeros((size, rows.shape[1]), np.uint8 if narrow else wide)
    for row in range(length.min()):
        whole += rows[start + row]
    for row in range(length.min(), length.max()):
        longer = np.flatnonzero(length > row)
        whole[longer] += rows[start[longer] + row]
    sums = whole.astype(wide) * size
    # Each border cuts a row: what lies before it belongs to the sum before.
    cut = rows[border[1:-1]] * part[1:-1, None].astype(wide)
    sums[:-1] += cut
    sums[1:] -= cut
    return sums
