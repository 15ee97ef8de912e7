"""A brush stroke's run lengths, as Label Studio exports them, to a mask.

The format is that of the package `@thi.ng/rle-pack`, read bit by bit, highest bit first: the number of values (32
bits), bits of a value less 1 (5), four sizes less 1 (4 each); then packets. A packet has a bit that says whether one
value is repeated, which of the four sizes its length has (2 bits), its length less 1, and its one value or all its
values. The values are red, green, blue and alpha of every pixel, row by row; a pixel is of the stroke where alpha is
over 0.
"""

from collections.abc import Sequence

import numpy as np

from losslab.data.photos import MAX_PIXELS, Unusable
from losslab.data.tensors import Array

CHANNELS = 4


def decode(rle: Sequence[int], width: int, height: int) -> Array:
    """The mask of a stroke, uint8 `[height, width]` of 0 and 1.

    Args:
        rle: bytes, 0 to 255.
        width: of the image.
        height: of the image.

    Raises:
        Unusable: the bytes are cut short or contradict themselves, or are of an image of another size.
    """
    if width * height > MAX_PIXELS:
        raise Unusable("too_large")
    stream = _Bits(bytes(rle))
    if stream.read(32) != CHANNELS * width * height:
        raise Unusable("size_disagrees")
    if stream.read(5) != 7:  # values are bytes
        raise Unusable("bad_rle")
    sizes = [stream.read(4) + 1 for _ in range(4)]
    mask = np.zeros(width * height, np.uint8)
    start = 0
    while start < CHANNELS * mask.size:
        repeated = stream.read(1)
        stop = start + 1 + stream.read(sizes[stream.read(2)])
        if stop > CHANNELS * mask.size:
            raise Unusable("bad_rle")
        # Alpha is the last of a pixel's values: those from start to stop have it of pixels start // 4 to stop // 4.
        pixels = slice(start // CHANNELS, stop // CHANNELS)
        if repeated:
            mask[pixels] = stream.read(8) > 0
        else:
            mask[pixels] = stream.values(stop - start)[CHANNELS - 1 - start % CHANNELS :: CHANNELS] > 0
        start = stop
    return mask.reshape(height, width)


class _Bits:
    """Bytes read bit by bit."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def read(self, bits: int) -> int:
        """The next bits as a number."""
        start, self.place = self.place, self.place + bits
        last = -(-self.place // 8)
        if last > len(self.content):
            raise Unusable("bad_rle")
        return int.from_bytes(self.content[start // 8 : last]) >> (8 * last - self.place) & ((1 << bits) - 1)

    def values(self, count: int) -> Array:
        """The next bytes, wherever they begin."""
        number = self.read(8 * count)
        return np.frombuffer(number.to_bytes(count), np.uint8)
