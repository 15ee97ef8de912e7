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

from losslab.data.tensors import VOID, Array, Frame

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
DEEP = "16 bits"
"""The key of an open image's `info` that says whether its file has 16 bits a colour."""


class Unusable(Exception):
    """This image is left out; the message is the reason, one word."""


def read_image(path: Path, width: int, height: int, frame: Frame | int) -> Array:
    """The image reduced to uint8 `[3, H, W]`, RGB; `width` and `height` are what its record says.

    EXIF orientation is applied where the record's size agrees with the turned image.

    Raises:
        Unusable: there is no such file, it is empty, no image, damaged, or of another size than the record says.
    """
    frame = Frame.of(frame)
    rows, columns = frame.content(width, height)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    with opened(path) as image:
        orientation = image.getexif().get(ORIENTATION, 1)
        turn, swapped = TURNS.get(orientation), orientation in {5, 6, 7, 8}
        if (image.size[::-1] if swapped else image.size) != (width, height):
            turn, swapped = None, False
            if image.size != (width, height):
                raise Unusable("size_disagrees")
        # A JPEG can be decoded at 1/2, 1/4 or 1/8, averaged; twice the size wanted is left for the filter.
        stored = size[::-1] if swapped else size
        drafted = image.draft(None, (2 * stored[0], 2 * stored[1]))
        small = _rgb(image).resize(stored, Image.Resampling.BILINEAR, box=drafted[1] if drafted else None)
        if turn is not None:
            small = small.transpose(turn)
        return np.ascontiguousarray(framed(np.asarray(small), frame, rows, columns).transpose(2, 0, 1))


def turned_size(path: Path) -> tuple[int, int]:
    """Width and height of an image, turned as its EXIF orientation says; its pixels are not read.

    Raises:
        Unusable: there is no such file, it is empty, no image or too large.
    """
    with opened(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ORIENTATION, 1) in {5, 6, 7, 8} else (width, height)


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
            image.info[DEEP] = any(";16" in str(tile) for tile in image.tile)  # Pillow forgets it with loading
            try:
                yield image
            except (Unusable, MemoryError):
                raise
            except Exception:
                raise Unusable(f"{what}damaged") from None


def _rgb(image: Image.Image) -> Image.Image:
    """RGB of 8 bits. Of 16 bits the upper 8 count, of a TIFF that says 12 the upper 8 of these.

    Raises:
        Unusable: `bits_unclear` where no value of 16 bits is over 4,095, as if 12 or 8 were meant (black is black in
            grey; of colours Pillow gives the upper 8 bits alone, in which 8 meant look the same);
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
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if image.info[DEEP] and np.asarray(rgb).max() < 1 << 4:
        raise Unusable("bits_unclear")
    return rgb


def framed(pixels: Array, frame: Frame, rows: slice, columns: slice, fill: int | None = None) -> Array:
    """`[h, w, ...]` at its place in a frame, `fill` around it; without it the colours of its edge."""
    around = [(rows.start, frame.height - rows.stop), (columns.start, frame.width - columns.stop)]
    around += [(0, 0)] * (pixels.ndim - 2)
    if not np.any(around):
        return pixels
    if fill is None:
        return np.pad(pixels, around, mode="edge")
    return np.pad(pixels, around, constant_values=fill)


def reduce_mask(mask: Array, frame: Frame | int) -> Array:
    """`[H, W]` of 0 and 1 to the frame's size: 1 where at least half of a small pixel's area is covered, exactly; 255
    where the frame is padded."""
    frame = Frame.of(frame)
    rows, columns = frame.content(*mask.shape[::-1])
    small = (2 * _covered(mask, rows, columns) >= mask.size).astype(np.uint8)
    return framed(small, frame, rows, columns, VOID)


def empty_mask(width: int, height: int, frame: Frame) -> Array:
    """What `reduce_mask` makes of a mask of nothing but 0."""
    rows, columns = frame.content(width, height)
    nothing = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    return framed(nothing, frame, rows, columns, VOID)


def reduce_labels(labels: Array, frame: Frame | int) -> Array:
    """Labels `[H, W]`, or one plane of a mask with void, to the frame's size: what covers most of a small pixel's area,
    exactly; of equals the greatest, but void only where it covers more than anything else. 255 where the frame is
    padded."""
    frame = Frame.of(frame)
    rows, columns = frame.content(*labels.shape[::-1])
    order = sorted(
        np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1)).tolist(), key=lambda v: (v != VOID, v)
    )
    small = np.full((rows.stop - rows.start, columns.stop - columns.start), order[0], np.uint8)
    if len(order) > 1:
        most = _covered((labels == order[0]).view(np.uint8), rows, columns)
        for value in order[1:]:
            covered = _covered((labels == value).view(np.uint8), rows, columns)
            small[covered >= most] = value
            np.maximum(most, covered, out=most)
    return framed(small, frame, rows, columns, VOID)


def _covered(mask: Array, rows: slice, columns: slice) -> NDArray[Any]:
    """How much of each small pixel a mask `[H, W]` of 0 and 1 covers, of `mask.size` in all.

    In units of 1/height and 1/width of a pixel every border falls on a whole number, so that all sums are of integers.
    """
    height, width = rows.stop - rows.start, columns.stop - columns.start
    wide = np.int32 if (mask.shape[0] + height) * (mask.shape[1] + width) < 2**31 else np.int64
    # pycocotools' masks lie column by column: transposed, each sum is of whole rows of memory.
    return _sums(np.ascontiguousarray(_sums(mask.T, width, wide).T), height, wide)


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
