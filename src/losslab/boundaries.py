"""How well predicted boundaries follow the true ones: boundary F-score and Hausdorff distance, per image and class.

The boundary of a mask is every pixel of it that has one of its four neighbours outside; beyond the image is outside.
A boundary pixel is *near* if a boundary pixel of the other mask lies within a tolerance, in pixels, of its centre.

- Boundary F-score (Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013): the
  harmonic mean of the near share of the predicted boundary and the near share of the true one.
- Hausdorff 95 (Huttenlocher et al., "Comparing images using the Hausdorff distance", PAMI 1993, at a quantile): the
  95th percentile of the distances from one boundary to the other, in pixels, the greater of the two directions.
  Percentiles are interpolated linearly, as in MONAI; libraries that pool both directions give other numbers.

Convention: a class that is absent from both masks is left out (NaN). One that is in one mask only, missed or made up,
scores F = 0 and the image's diagonal, √(H² + W²), which is more than any true distance: to leave it out would reward
predicting nothing. So do the BraTS challenges (Bakas et al., 2018, arXiv:1811.02629).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from losslab import scores

Floats = NDArray[np.float64]

COLUMNS = ("predicted", "predicted_near", "true", "true_near", "hd95")


@dataclass(frozen=True)
class Boundaries:
    """Numbers of boundary pixels and Hausdorff 95, `[S, N, C, 5]` in the order of `COLUMNS`, per threshold rule."""

    seeds: tuple[int, ...]
    images: tuple[str, ...]
    classes: tuple[str, ...]
    values: dict[str, Floats]


def write(
    path: Path, images: Iterable[str], classes: Iterable[str], values: Mapping[int, Mapping[str, Floats]]
) -> None:
    """Write the table `seed,image,class,threshold,predicted,predicted_near,true,true_near,hd95`."""
    scores.write_table(path, COLUMNS, images, classes, values)


def read(path: Path) -> Boundaries:
    """Read the table back.

    Raises:
        InputError: the file is missing, is not such a table, or lacks rows.
    """
    return Boundaries(*scores.read_table(path, COLUMNS, np.float64))


def f_score(values: Floats) -> Floats:
    """Boundary F-score from numbers of boundary pixels `[..., 5]`; NaN where neither mask has any."""
    predicted, predicted_near, true, true_near, _ = np.moveaxis(values, -1, 0)
    precision, recall = predicted_near / np.maximum(predicted, 1), true_near / np.maximum(true, 1)
    total = precision + recall
    found: Floats = np.where(predicted + true > 0, 2 * precision * recall / np.where(total > 0, total, 1), np.nan)
    return found
