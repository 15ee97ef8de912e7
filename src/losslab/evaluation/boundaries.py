"""How well predicted boundaries follow the true ones: boundary F-score and Hausdorff distance, per image and class.

The boundary of a mask is every pixel of it that has one of its four neighbours outside; beyond the image is outside. Of
what is unknown (255 in the truth) neither mask has a pixel, and against it no mask has a boundary: whether it goes on
there is not known either. The image is the smallest rectangle that holds all that is known of a plane, so that a border
of unknown pixels, such as padding, is as if it were not there. A boundary pixel is *near* if a boundary pixel of the
other mask lies within a tolerance, in pixels, of its centre.

- Boundary F-score (Csurka et al., "What is a good evaluation measure for semantic segmentation?", BMVC 2013): the
  harmonic mean of the near share of the predicted boundary and the near share of the true one.
- Hausdorff 95 (Huttenlocher et al., "Comparing images using the Hausdorff distance", PAMI 1993, at a quantile): the
  95th percentile of the distances from one boundary to the other, in pixels, the greater of the two directions.
  Percentiles are interpolated linearly, as in MONAI; libraries that pool both directions give other numbers.

Convention: a class that is absent from both masks is left out (NaN). One that is in one mask only, missed or made up,
scores F = 0 and the image's diagonal, √(H² + W²), which is more than any true distance: to leave it out would reward
predicting nothing. So do the BraTS challenges (Bakas et al., 2018, arXiv:1811.02629). A class that the truth shows, but
whose whole boundary is against what is unknown, is left out: there is nothing to follow.

`compare_boundaries` does many pairs of masks at once. Only boundary pixels are asked for their distance, so the cost
follows the length of boundaries rather than the area of images: per pair O(H·W) to find, for each pixel, the nearest
boundary pixel in its column, and O(W) per boundary pixel to take the best of all columns (the two passes of
Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", 2012, the second in its plain form). Squared
distances are integers, so every device gives the same.
"""

import torch
from torch import Tensor

from losslab.data.tensors import VOID

CHUNK = 1 << 20
"""Elements of the largest temporary of the second pass: fits a processor's cache."""

PERCENTILE = 0.95


def compare_boundaries(predicted: Tensor, target: Tensor, tolerance: float) -> Tensor:
    """Boundary counts and Hausdorff 95 of two masks, as this module defines them.

    Args:
        predicted: boolean `[N, C, H, W]`.
        target: of 0, 1 and 255, or boolean, of the same shape.
        tolerance: how far, in pixels, a near boundary pixel may lie.

    Returns:
        float64 `[N, C, 5]` on the CPU: boundary pixels predicted, of these near, true, of these near, and the distance;
        NaN where neither mask has a pixel, √(H² + W²) where one has none.
    """
    result = torch.zeros(predicted.shape[0] * predicted.shape[1], 5, dtype=torch.float64)
    true, guess = (target == 1).flatten(0, 1), predicted.flatten(0, 1).bool()
    void = (target == VOID).flatten(0, 1) if bool((target == VOID).any()) else None
    inner, diagonal = unknown_within(void, *predicted.shape[2:])
    edges = [_boundary(masks if void is None else masks & ~void, inner) for masks in (guess, true)]
    lost = true.any((1, 2)) & ~edges[1].any((1, 2))
    edges[0] = edges[0] & ~lost[:, None, None]
    sizes = [edge.sum((1, 2)).cpu() for edge in edges]
    result[:, 0], result[:, 2] = sizes[0], sizes[1]
    result[:, 4] = torch.where(sizes[0] + sizes[1] > 0, diagonal, torch.nan)
    both = ((sizes[0] > 0) & (sizes[1] > 0)).nonzero()[:, 0]
    if len(both):
        one, other = (edge[both.to(edge.device)] for edge in edges)
        near, distance = zip(_near_and_far(one, other, tolerance), _near_and_far(other, one, tolerance), strict=True)
        result[both, 1], result[both, 3] = near[0], near[1]
        result[both, 4] = torch.maximum(*distance)
    return result.view(*predicted.shape[:2], 5)


def unknown_within(void: Tensor | None, height: int, width: int) -> tuple[Tensor | None, Tensor]:
    """The unknown pixels `[M, H, W]` that lie within the rectangle of what is known, and its diagonals, float64 `[M]`
    on the CPU; where all is known no pixels, and one diagonal."""
    if void is None:
        return None, torch.tensor((height**2 + width**2) ** 0.5, dtype=torch.float64)
    rows, columns = (_spanned(~void.all(axis)) for axis in (2, 1))  # [M, H], [M, W]
    squares = rows.sum(1).double() ** 2 + columns.sum(1).double() ** 2
    return void & rows[:, :, None] & columns[:, None, :], squares.sqrt().cpu()


def _spanned(present: Tensor) -> Tensor:
    """Bool `[M, L]`: from the first that is true to the last."""
    return (present.int().cumsum(1) > 0) & (present.int().flip(1).cumsum(1).flip(1) > 0)


def _boundary(masks: Tensor, unknown: Tensor | None) -> Tensor:
    """The pixels of boolean masks `[M, H, W]` that have one of four neighbours outside, where that is known."""
    inside = torch.zeros_like(masks)
    around = masks if unknown is None else masks | unknown
    inside[:, 1:-1, 1:-1] = (
        around[:, :-2, 1:-1] & around[:, 2:, 1:-1] & around[:, 1:-1, :-2] & around[:, 1:-1, 2:] & masks[:, 1:-1, 1:-1]
    )
    return masks & ~inside


def _near_and_far(edges: Tensor, others: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """For boundaries `[M, H, W]`, none empty: float64 `[M]` pixels within `tolerance` of the other, and the 95th
    percentile of the distances to it."""
    which, squared = _squared_distances(edges, others)
    lengths = torch.bincount(which, minlength=len(edges))
    near = torch.bincount(which, (squared <= tolerance**2).double(), minlength=len(edges))
    # One sort for all pairs: by pair, then by distance.
    step = int(squared.max()) + 1
    ordered = (which * step + squared).sort().values % step
    place = PERCENTILE * (lengths - 1).double()
    first = lengths.cumsum(0) - lengths
    below = ordered[first + place.floor().long()].double().sqrt()
    above = ordered[first + place.ceil().long()].double().sqrt()
    return near.cpu(), (below + (above - below) * place.frac()).cpu()


def _squared_distances(edges: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For every pixel of `edges` `[M, H, W]`, pair by pair: its pair, and the square of its distance to the nearest
    pixel of `others` in that pair; both int64 `[Q]`."""
    pairs, height, width = edges.shape
    columns = _column_distances(others).square_().view(pairs * height, width)
    offsets = torch.arange(width, device=edges.device, dtype=torch.int32)
    across = (offsets[:, None] - offsets).square_()  # [W, W]
    which, row, column = edges.nonzero(as_tuple=True)
    line = which * height + row
    size = max(CHUNK // width, 1)
    parts = zip(torch.split(line, size), torch.split(column, size), strict=True)
    nearest = [(columns[lines] + across[places]).amin(1) for lines, places in parts]
    return which, torch.cat(nearest).long()


def _column_distances(edges: Tensor) -> Tensor:
    """int32 `[M, H, W]`: how many rows away the nearest pixel of the same column is; over H + W where there is none."""
    pairs, height, width = edges.shape
    distances = torch.empty(edges.shape, dtype=torch.int32, device=edges.device)
    above = below = torch.full((pairs, width), height + width, dtype=torch.int32, device=edges.device)
    for row in range(height):
        above = (above + 1).masked_fill_(edges[:, row], 0)
        distances[:, row] = above
    for row in reversed(range(height)):
        below = (below + 1).masked_fill_(edges[:, row], 0)
        torch.minimum(distances[:, row], below, out=distances[:, row])
    return distances
