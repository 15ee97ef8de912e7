"""Connected components of masks."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BY_SIDES, BY_CORNERS = (ndimage.generate_binary_structure(2, n) for n in (1, 2))
"""Which of the pixels around one are its neighbours, `[3, 3]`: those by side, those by side or corner."""


class Labelled:
    """The components of masks `[..., H, W]`, numbered from 1 through all planes."""

    def __init__(self, masks: NDArray[np.bool_], neighbours: NDArray[np.bool_]) -> None:
        within = np.zeros((3, 3, 3), bool)
        within[1] = neighbours  # none in the planes before and after
        labels, self.number = ndimage.label(masks.reshape(-1, *masks.shape[-2:]), within)
        self.plane = np.zeros(self.number + 1, np.int64)
        self.plane[labels] = np.arange(len(labels))[:, None, None]
        self.labels = labels.reshape(masks.shape)

    def touching(self, pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Bool `[1 + number]`: which components have one of these pixels; none is component 0."""
        touched = np.zeros(self.number + 1, bool)
        touched[self.labels[np.broadcast_to(pixels, self.labels.shape)]] = True
        touched[0] = False
        return touched

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of these components each plane has, `[...]`."""
        planes = self.labels.shape[:-2]
        return np.bincount(self.plane[1:][which[1:]], minlength=int(np.prod(planes))).reshape(planes)
