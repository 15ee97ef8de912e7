"""What few seeds can honestly say: draws of what each loss would score on average over seeds, from a small model.

score(loss, seed) = loss + seed + residual. Losses are drawn from one normal distribution whose width is learned, so
that the first of many equal losses is not believed to be as good as it came out; each loss has its own variance of
residuals, pulled towards that of the others; a seed's part is common to all losses and says nothing of them. To each
draw is added how far a draw of test images takes the losses. How far the chances can be believed is simulated by
`python benchmarks/verdict_simulations.py` and stated in docs/verdict.md.
"""

import numpy as np

from losslab.evaluation.aggregates import Floats

_SCALE = 0.05
"""mIoU: the order of size of what losses, and seeds, differ by; half-Cauchy and half-normal priors have this scale."""
_POOLING = 4.0
"""Degrees of freedom of what the other losses say of a loss's variance: as much as five seeds of its own."""
_SWEEPS = 60
"""Sweeps of the Gibbs sampler; each draw is the end of a chain of its own, so draws are independent."""
SUREST = 0.9
"""The highest chance that is stated: above, it would say more than simulations bear out."""


def draws(scores: Floats, number: int, seed: int) -> Floats:
    """`[number, L]`: draws of the losses' expected scores, without what images add.

    Args:
        scores: `[L, S]`, of two losses or more; NaN where a loss has no such seed.
        number: of draws.
        seed: of the random numbers.
    """
    rng = np.random.default_rng([seed, 3])
    known = ~np.isnan(scores)  # [L, S]
    values, counts = np.where(known, scores, 0.0), known.sum(axis=1)  # [L, S], [L]

    def inverse_gamma(shape: Floats | float, rate: Floats) -> Floats:
        drawn: Floats = rate / rng.gamma(shape, size=rate.shape)
        return drawn

    losses = np.tile(values.sum(axis=1) / counts, (number, 1))  # [D, L]
    variance = np.full_like(losses, np.var(scores[known]) + 1e-12)
    typical = variance[:, 0]
    between = typical.copy()
    for _ in range(_SWEEPS):
        weights = known / variance[..., None]  # [D, L, S]
        total = weights.sum(axis=1)  # [D, S]
        seeds = (weights * (values - losses[..., None])).sum(axis=1) / total
        seeds += rng.normal(size=seeds.shape) / np.sqrt(total)
        middle = losses.mean(axis=1) + rng.normal(size=number) * np.sqrt(between / losses.shape[1])
        precision = counts / variance + 1 / between[:, None]
        fit = (known * (values - seeds[:, None])).sum(axis=2) / variance + (middle / between)[:, None]
        losses = fit / precision + rng.normal(size=losses.shape) / np.sqrt(precision)
        residuals = (known * (values - losses[..., None] - seeds[:, None]) ** 2).sum(axis=2)
        variance = inverse_gamma((_POOLING + counts) / 2, (_POOLING * typical[:, None] + residuals) / 2)
        rate = 1 / (2 * _SCALE**2) + _POOLING / 2 * (1 / variance).sum(axis=1)
        typical = rng.gamma((1 + _POOLING * losses.shape[1]) / 2, size=number) / rate
        # Half-Cauchy by way of an auxiliary variable (Makalic and Schmidt, 2016).
        auxiliary = inverse_gamma(1.0, 1 / _SCALE**2 + 1 / between)
        spread = ((losses - middle[:, None]) ** 2).sum(axis=1)
        between = inverse_gamma((1 + losses.shape[1]) / 2, 1 / auxiliary + spread / 2)
    return losses


def best(drawn: Floats) -> Floats:
    """`[L]`: the share of draws `[D, L]` in which each is the highest, ties in parts, within what can be believed."""
    first = drawn == drawn.max(axis=1, keepdims=True)
    shares: Floats = np.mean(first / first.sum(axis=1, keepdims=True), axis=0).clip(1 - SUREST, SUREST)
    return shares


def regret(drawn: Floats) -> Floats:
    """`[L]`: what picking each is expected to cost against the best, in the unit of the draws `[D, L]`."""
    lost: Floats = (drawn.max(axis=1, keepdims=True) - drawn).mean(axis=0)
    return lost


def costs(drawn: Floats, picked: int) -> Floats:
    """`[L]`: what picking one is expected to cost against each other alone, in the unit of the draws `[D, L]`."""
    lost: Floats = (drawn - drawn[:, [picked]]).clip(min=0).mean(axis=0)
    return lost
