"""Calibration: whether what is given a probability of p is there in a share p of cases, over known pixels.

Each class is judged by itself: whether a pixel is of it or not. The probabilities are sorted into 15 bins of equal
width. In a bin the *gap* is the sum of probability − truth; the expected calibration error (Naeini, Cooper and
Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015; class by class as in Nixon et
al., "Measuring calibration in deep learning", 2019) is the sum of the bins' absolute gaps over the number of pixels.
The Brier score is the mean of (probability − truth)². Gaps and squares add up over images, so both are of the whole
test set, and no threshold has a part in them.

Convention: unknown pixels (255 in the truth) are left out. A probability on the edge of two bins is in the upper one; 1
is in the last. NaN, which a diverged run may give, counts as 0.
"""

import numpy as np

from losslab.errors import InputError
from losslab.evaluation.aggregates import Floats
from losslab.evaluation.extra.known import Known

BINS = 15


def calibration(planes: Known) -> Floats:
    """`[R, M, 16]`, the same for each rule: the gap in each bin, and the sum of squared errors.

    Raises:
        InputError: there are no probabilities.
    """
    if planes.probabilities is None:
        raise InputError("the metric 'calibration' is of probabilities: give them beside the decisions")
    likely = np.nan_to_num(planes.probabilities, nan=0.0)
    plane = np.broadcast_to(np.arange(len(likely))[:, None, None], likely.shape)
    bins = BINS * plane + np.minimum((likely * BINS).astype(np.int64), BINS - 1)
    error = np.where(planes.void, 0.0, likely.astype(np.float64) - planes.true)
    # One after the other, so that the sum does not depend on what is unknown beside them.
    gaps = np.bincount(bins.ravel(), error.ravel(), BINS * len(likely)).reshape(-1, BINS)
    values = np.column_stack([gaps, np.bincount(plane.ravel(), error.ravel() ** 2)])
    return np.broadcast_to(values, (len(planes.predicted), *values.shape))
