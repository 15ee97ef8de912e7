"""Trees of thin branches, as vessels and roads have them: where they run, how wide and how dark they are.

Only operations that IEEE 754 rounds alike everywhere are used, no sine and no exponential, so that a seed gives the
same pixels on every processor.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]

WIDEST = 3  # pixels, of a trunk; a branch has one less than what it leaves, and at least one
DEPTH = 2  # branches of branches of a trunk
APART = 10  # pixels between two branchings at least
BEND = 0.02  # how far the direction may turn at a pixel, as the tangent of half the angle
GAP = (3, 7)  # pixels of a break


@dataclass(frozen=True)
class Branch:
    """One branch, point by point, each at most a pixel from the last.

    Args:
        points: `[n, 2]`, row and column.
        width: pixels.
        darkness: `[n]`, which share of the light it takes; 0 in a break.
    """

    points: Floats
    width: int
    darkness: Floats

    def pixels(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Rows, columns and darkness of all that it covers of an image; a pixel may be named more than once."""
        brush = [(r, c) for r in (0, 1, -1) for c in (0, 1, -1) if _in_brush(r, c, self.width)]
        places = (np.floor(self.points + 0.5).astype(np.int64)[:, None] + np.array(brush)).reshape(-1, 2)
        darkness = np.repeat(self.darkness, len(brush))
        inside = ((places >= 0) & (places < side)).all(axis=1)
        rows, columns = places[inside].T
        return rows, columns, darkness[inside]


def _in_brush(row: int, column: int, width: int) -> bool:
    """One pixel, a square of four, or a cross of five."""
    if width == 1:
        return row == column == 0
    return min(row, column) >= 0 if width == 2 else row * column == 0


def tree(random: np.random.Generator, side: int, contrast: Range, breaks: float) -> Iterator[Branch]:
    """A trunk from the image's edge inwards, and its branches.

    Args:
        random: what is drawn from.
        side: of the image, in pixels.
        contrast: least and most darkness; it drifts along a branch from where it leaves to a value of its own.
        breaks: how many breaks there are in 100 pixels, on average.
    """
    along = (side - 1) * random.random()
    row, column, down, right = (
        (0.0, along, 1.0, 0.0),
        (side - 1.0, along, -1.0, 0.0),
        (along, 0.0, 0.0, 1.0),
        (along, side - 1.0, 0.0, -1.0),
    )[int(4 * random.random())]
    waiting = [(row, column, *_turned(down, right, _between(random, (-0.3, 0.3))), 0, _between(random, contrast))]
    while waiting:
        row, column, down, right, depth, first = waiting.pop()
        length = int(side * _between(random, (0.5, 1.1)) * 0.6**depth)
        drift = (_between(random, contrast) - first) / length
        turn, straight, gap = 0.0, 0, 0
        points, darkness = [], []
        for step in range(length):
            points.append((row, column))
            gap = gap - 1 if gap else int(random.random() < breaks / 100) * int(_between(random, GAP))
            darkness.append(0.0 if gap else first + step * drift)
            turn = 0.9 * turn + _between(random, (-BEND, BEND))
            down, right = _turned(down, right, turn)
            row, column, straight = row + down, column + right, straight + 1
            if not (0 <= row <= side - 1 and 0 <= column <= side - 1):
                break
            if depth < DEPTH and straight >= APART and random.random() < 0.06:
                aside = _between(random, (0.2, 0.5)) * (1 if random.random() < 0.5 else -1)
                waiting.append((row, column, *_turned(down, right, aside), depth + 1, first + step * drift))
                straight = 0
        yield Branch(np.array(points), max(1, WIDEST - depth), np.array(darkness))


def _between(random: np.random.Generator, bounds: Range) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * random.random()


def _turned(down: float, right: float, tangent: float) -> tuple[float, float]:
    """A direction turned by twice the angle of that tangent."""
    square = tangent * tangent
    cosine, sine = (1 - square) / (1 + square), 2 * tangent / (1 + square)
    return cosine * down - sine * right, sine * down + cosine * right
