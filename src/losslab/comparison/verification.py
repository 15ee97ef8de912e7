"""Which losses are worse than which, for good, however often one looks.

Users add seeds until they know, so a test has to hold at every look. For a pair of losses, d are their differences
over the seeds that both have, and t is the mean of d over the root of var(d) / S plus the variance of that mean over
draws of test images. A look is taken at S = 3, 4, …; one loss is worse than the other once |t| reaches c(S), and stays
so. The boundary c is the quantile of Student's t with S − 1 degrees of freedom at one level for all looks, chosen so
that two equal losses are told apart at any of them with probability 1 − confidence (the rule of Pocock, "Group
sequential methods", 1977, for a variance that is not known). At 0.95 and 16 seeds it falls from 10.6 at three to 3.0.

Runs that did not learn a class lie on another plateau than the others, and three on one plateau have no deviation to
speak of, whatever the fourth does. Where a pair has such a run among its seeds, it is decided only if the walk agrees:
a test of wins and losses, which holds whatever the distribution.

No correction over losses is needed to verify which is first: it is enough that each of the others is worse than it
(Gutmann and Maymin, "Is the selected population the best?", 1987; Hung and Fithian, "Rank verification for exponential
families", 2019).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit

from losslab.evaluation.aggregates import Floats

FIRST_LOOK = 3
"""Seeds: fewer have a variance that nothing can be said from."""
_STATES, _ANGLES = 241, 800
"""Points of the numerical integration: the boundary is right to its third digit."""


@cache
def boundary(confidence: float, most_seeds: int) -> tuple[float, ...]:
    """c(S) for S = 3 … `most_seeds`: two equal losses are told apart at any of these looks with probability
    1 − confidence, if differences between seeds are normal."""

    def excess(log_tail: float) -> float:
        return _survival(_quantiles(np.exp(log_tail), most_seeds)) - confidence

    # Between all of the error at one look, and an equal share of it at each.
    bounds = np.log((1 - confidence) / 2 / np.array([1.1 * most_seeds, 0.9]))
    return tuple(_quantiles(np.exp(brentq(excess, *bounds, xtol=1e-4)), most_seeds).tolist())


def _quantiles(tail: float, most_seeds: int) -> Floats:
    degrees = np.arange(FIRST_LOOK, most_seeds + 1) - 1
    quantiles: Floats = -stdtrit(degrees, tail)
    return quantiles


def _survival(bounds: Floats) -> float:
    """The probability that |t| stays below the bounds at every look, differences being normal with mean 0.

    By u = Σd / √Σd², of which t is a function. Its past says nothing of the scale, so u goes from n to n + 1 seeds as
    u·cos φ + sin φ, where φ has the density cosⁿ⁻¹ φ whatever came before; with three seeds u is uniform.
    """
    seeds = np.arange(FIRST_LOOK, FIRST_LOOK + len(bounds))
    ends = bounds * np.sqrt(seeds / (seeds - 1 + bounds**2))  # of u, where t is at its bound
    angles = (np.arange(_ANGLES) + 0.5) / _ANGLES * np.pi - np.pi / 2
    states = np.linspace(-1, 1, _STATES)
    survives = np.ones(_STATES)  # from the last look on, by u as a share of its end
    for n, end, after in zip(seeds[-2::-1], ends[-2::-1], ends[:0:-1], strict=True):
        weights = np.cos(angles) ** (n - 1)
        moved = np.outer(states * end, np.cos(angles)) + np.sin(angles)
        survives = np.interp(moved / after, states, survives, left=0, right=0) @ (weights / weights.sum())
    return float(np.trapezoid(survives, states) * ends[0] / (2 * np.sqrt(FIRST_LOOK)))


def decided(differences: Floats, confidence: float, most_seeds: int, failed: Sequence[bool] = ()) -> int:
    """The number of seeds at which a pair was decided for good, negative if the second loss is better; 0: it is open.

    Args:
        differences: `[1 + resamples, S]`, the first loss's value minus the second's, seeds in the order they were
            trained in, draw 0 the data as they are.
        confidence: of all looks together.
        most_seeds: how many looks there can be; seeds beyond are not looked at.
        failed: of each seed, whether a run of the pair did not learn a class.
    """
    walk = walked(differences[0], confidence, most_seeds)
    for seeds, bound in enumerate(boundary(confidence, most_seeds), start=FIRST_LOOK):
        if seeds > differences.shape[1]:
            break
        looked = differences[:, :seeds]
        mean = looked[0].mean()
        free = not any(failed[:seeds]) or walk[:seeds].any()
        if free and mean != 0 and abs(mean) >= bound * standard_error(looked):
            return seeds if mean > 0 else -seeds
    return 0


def standard_error(differences: Floats) -> float:
    """Of the mean of differences `[1 + resamples, S]` over seeds and images, S ≥ 2."""
    seeds = differences[0].var(ddof=1) / differences.shape[1]
    return float(np.sqrt(seeds + image_variance(differences)))


def image_variance(differences: Floats) -> float:
    """The variance of the mean of differences `[1 + resamples, S]` over draws of images; 0 where none has a value."""
    means = differences[1:].mean(axis=1)
    means = means[~np.isnan(means)]
    return float(means.var()) if len(means) else 0.0


def walked(differences: Floats, confidence: float, most_seeds: int) -> NDArray[np.bool_]:
    """`[S]`: at which seeds wins and losses alone say which of a pair is better, whatever the distribution.

    A pair is decided where one side has `walk_start` wins and three for each that it lost: 6–0, 9–1 or 12–2 at 0.95.
    Equal losses, which win or lose each seed by chance, come there with probability 1 − confidence at most.

    Args:
        differences: `[S]`, in the order of the seeds.
        confidence: of all looks together.
        most_seeds: how many looks there can be.
    """
    wins, losses = np.cumsum(differences > 0), np.cumsum(differences < 0)
    decided: NDArray[np.bool_] = np.maximum(wins, losses) >= walk_start(confidence, most_seeds) + 3 * np.minimum(
        wins, losses
    )
    return decided


@cache
def walk_start(confidence: float, most_seeds: int) -> int:
    """The wins in a row that decide a pair: as few as the confidence allows over so many looks."""
    return next(start for start in range(1, most_seeds + 2) if _walk_error(start, most_seeds) <= 1 - confidence + 1e-12)


def _walk_error(start: int, most_seeds: int) -> float:
    """How often a fair coin's tosses come to `start` + 3 · (the fewer) of one side."""
    chances = {(0, 0): 1.0}
    crossed = 0.0
    for _ in range(most_seeds):
        after: dict[tuple[int, int], float] = {}
        for (wins, losses), chance in chances.items():
            for state in ((wins + 1, losses), (wins, losses + 1)):
                if max(state) >= start + 3 * min(state):
                    crossed += chance / 2
                else:
                    after[state] = after.get(state, 0.0) + chance / 2
        chances = after
    return crossed
