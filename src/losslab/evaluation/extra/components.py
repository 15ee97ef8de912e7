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

from losslab.evaluation.aggregates import Floats
from losslab.evaluation.extra.known import Known, Planes, framed
from losslab.evaluation.extra.labelled import BY_SIDES, Labelled


def components(planes: Known) -> Floats:
    """`[R, M, 4]`: components predicted, of these right, true, of these hit."""
    guess, true = planes.components
    right, beside = guess.touching(planes.true), guess.touching(_grown(planes.unknown_inside))
    hit = np.stack([true.count(true.touching(masks)) for masks in planes.predicted])
    whole = np.broadcast_to(true.count(np.ones(true.number + 1, bool)), hit.shape)
    return np.stack([guess.count(right | ~beside), guess.count(right), whole, hit], axis=-1).astype(np.float64)


def betti(planes: Known) -> Floats:
    """`[R, M, 4]`: components predicted, holes predicted, components true, holes true."""
    values = components(planes)
    values[..., 1], values[..., 3] = (_holes(masks, planes.unknown_inside) for masks in (planes.predicted, planes.true))
    return values


def _holes(masks: Planes, unknown: Planes) -> NDArray[np.int64]:
    """How many holes each mask has, `[..., M]`."""
    outside = Labelled(~framed(masks), BY_SIDES)
    cut_off = ~outside.touching(framed(unknown))
    cut_off[outside.labels[..., 0, 0]] = False  # what is connected to the image's edge
    return outside.count(cut_off)


def _grown(masks: Planes) -> Planes:
    """Masks and what is next to them, by side or corner."""
    wide = framed(masks)
    tall = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    return tall[..., :-2] | tall[..., 1:-1] | tall[..., 2:]
