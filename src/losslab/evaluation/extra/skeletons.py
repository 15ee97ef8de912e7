"""clDice: whether the middle lines of thin structures are covered, per image and class.

The share of the predicted mask's skeleton that lies in the true mask, the share of the true mask's skeleton that lies
in the predicted one, and of both the harmonic mean (Shit et al., "clDice – a novel topology-preserving loss function
for tubular structure segmentation", CVPR 2021). A vessel that is drawn too thin or too thick loses nothing, one that
is interrupted or missed does.

The skeleton is that of Guo and Hall ("Parallel thinning with two-subiteration algorithms", CACM 1989, their A1): pixels
are taken off the outside, in turn on two sides, as long as that neither breaks nor joins anything. So a mask and its
skeleton have the same components and the same holes. (The soft skeleton of the loss `cl_dice` is another thing: it has
a gradient, and may break.)

Convention: unknown pixels (255 in the truth) are in neither mask, and a structure that they cut has the skeletons of
its known parts. A class absent from both masks is left out; one that is in one mask only scores 0.
"""

import numpy as np
from numpy.typing import NDArray

from losslab.evaluation.aggregates import Floats
from losslab.evaluation.extra.known import Known, Planes, framed


def cl_dice(planes: Known) -> Floats:
    """`[R, M, 4]`: pixels of the predicted mask's skeleton, of these in the true mask, of the true mask's skeleton, of
    these in the predicted mask."""
    guess, true = skeletons(planes.predicted), skeletons(planes.true)
    counted = (guess, guess & planes.true, np.broadcast_to(true, guess.shape), true & planes.predicted)
    return np.stack([each.sum((2, 3)) for each in counted], axis=-1).astype(np.float64)


def skeletons(masks: Planes) -> Planes:
    """The skeletons of masks `[..., H, W]`; beyond the image is outside."""
    padded = framed(masks)
    width = padded.shape[-1]
    around = np.array([-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1])  # clockwise from above
    flat, thinned = padded.reshape(-1), True
    pixels = np.flatnonzero(flat)  # only these are looked at, and ever fewer of them
    while thinned:
        thinned = False
        for removable in _REMOVABLE:
            inner = flat[pixels - width] & flat[pixels + 1] & flat[pixels + width] & flat[pixels - 1]
            outer = pixels[~inner]  # no other pixel is removable
            gone = outer[removable[np.packbits(flat[outer[:, None] + around], axis=1)[:, 0]]]
            flat[gone] = False
            pixels = pixels[flat[pixels]]
            thinned |= len(gone) > 0
    return padded[..., 1:-1, 1:-1]


def _removable() -> NDArray[np.bool_]:
    """Which pixels go in each of the two subiterations, by the bits of their neighbours: `[2, 256]`."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(bool).T
    n, ne, e, se, s, sw, w, nw = bits
    joined = sum(~a & (b | c) for a, b, c in ((n, ne, e), (e, se, s), (s, sw, w), (w, nw, n)))
    one = sum((nw | n, ne | e, se | s, sw | w), np.zeros(256, int))
    other = sum((n | ne, e | se, s | sw, w | nw), np.zeros(256, int))
    neighbours = np.minimum(one, other)
    edge = (joined == 1) & (neighbours >= 2) & (neighbours <= 3)
    return np.stack([edge & ~((n | ne | ~se) & e), edge & ~((s | sw | ~nw) & w)])


_REMOVABLE = _removable()
