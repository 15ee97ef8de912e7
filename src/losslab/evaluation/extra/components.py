"""Connected components: which of them are hit (lesion-wise recall and precision), and how many there are, with their
holes (Betti numbers), per image and class.

A component is a set of pixels of a mask that are neighbours by side or corner; a hole is a set of pixels outside a mask
that are neighbours by side and cut off from the image's edge. A true component is *hit* if one of its pixels is
predicted, a predicted one is *right* if one of its pixels is true.

Convention: unknown pixels (255 in the truth) are in neither mask, so an object that they cut is as many components as
they leave of it. A predicted component that is next to unknown pixels and on no true pixel is left out: what it belongs
to may lie there. So is a hole with an unknown pixel. True components are all counted, whatever they touch: where the
outline of every object is unknown, as in Pascal VOC, none would be left. Unknown pixels beyond the smallest rectangle
that holds all that is known, such as padding, are as if they were not there.

The Betti errors are the differences of the two masks in their numbers of components and of holes (Hu et al.,
"Topology-preserving deep image segmentation", NeurIPS 2019, of whole images rather than patches). They do not ask where
these are: a component missed and one made up elsewhere make an error of 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from losslab.evaluation.aggregates import Floats
from losslab.evaluation.extra.known import Known, Planes

_SIDES, _ALL = (ndimage.generate_binary_structure(2, n)[None] for n in (1, 2))
"""Neighbours within a plane, `[1, 3, 3]`."""


def components(planes: Known) -> Floats:
    """`[M, 4]`: components predicted, of these right, true, of these hit."""
    guess, true = _Labelled(planes.predicted, _ALL), _Labelled(planes.true, _ALL)
    right, hit = guess.touching(planes.true), true.touching(planes.predicted)
    beside = guess.touching(ndimage.binary_dilation(planes.unknown_inside, _ALL))
    columns = (guess.count(right | ~beside), guess.count(right), true.count(np.ones_like(hit)), true.count(hit))
    return np.stack(columns, axis=-1).astype(np.float64)


def betti(planes: Known) -> Floats:
    """`[M, 4]`: components predicted, holes predicted, components true, holes true."""
    predicted, _, true, _ = components(planes).T
    holes, true_holes = (_holes(mask, planes.unknown_inside) for mask in (planes.predicted, planes.true))
    return np.stack([predicted, holes, true, true_holes], axis=-1)


def _holes(masks: Planes, unknown: Planes) -> NDArray[np.int64]:
    """How many holes each mask has, `[M]`."""
    outside, unknown = (np.pad(each, ((0, 0), (1, 1), (1, 1))) for each in (masks, unknown))
    labelled = _Labelled(~outside, _SIDES)
    cut_off = ~labelled.touching(unknown)
    cut_off[labelled.labels[:, 0, 0]] = False  # what is connected to the image's edge
    return labelled.count(cut_off)


class _Labelled:
    """The components of masks `[M, H, W]`, numbered from 1 through all planes."""

    def __init__(self, masks: Planes, neighbours: NDArray[np.bool_]) -> None:
        within = np.zeros((3, 3, 3), bool)
        within[1] = neighbours  # none in the planes before and after
        self.labels, self.number = ndimage.label(masks, within)
        self.plane = np.zeros(self.number + 1, np.int64)
        where = self.labels.nonzero()
        self.plane[self.labels[where]] = where[0]
        self.planes = len(masks)

    def touching(self, pixels: Planes) -> NDArray[np.bool_]:
        """Bool `[1 + number]`: which components have one of these pixels; none is component 0."""
        touched = np.zeros(self.number + 1, bool)
        touched[self.labels[pixels]] = True
        touched[0] = False
        return touched

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of these components each plane has, `[M]`."""
        numbers: NDArray[np.int64] = np.bincount(self.plane[1:][which[1:]], minlength=self.planes)
        return numbers
