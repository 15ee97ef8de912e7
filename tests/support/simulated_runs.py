"""Runs that never ran: pixel counts drawn from a model in which the true values are known.

A run of a seed finds each true pixel of image i with probability skill + effect of the loss + seed + image + noise, and
invents a false one for each that it misses in proportion. Seeds and images are shared by all losses, as in training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from losslab.comparison import convergence
from losslab.comparison.loss_results import Comparison, LossResult
from losslab.comparison.resampling import Resampler
from losslab.evaluation.aggregates import Counts, Draws, Floats, Sums, unweighted
from losslab.evaluation.metrics import METRICS
from losslab.results.scores import THRESHOLDS, Scores
from losslab.settings.params import Compare

SETTINGS = Compare(baseline="loss0", confidence=0.95, resamples=400, seed=0)


@dataclass(frozen=True)
class Simulation:
    """Standard deviations are in shares of pixels, so 0.01 is about a point of mIoU or two."""

    seeds: int = 8
    images: int = 100
    effects: Sequence[float] = (0.0,)
    """How much skill each loss adds; its length is the number of losses."""
    skill: float = 0.8
    shared_seed: float = 0.01
    """Deviation between seeds that all losses have in common, such as a good order of images."""
    own_seed: float | Sequence[float] = 0.01
    """Deviation between seeds of each loss on its own; of each its own where there are several."""
    image: float = 0.1
    noise: float = 0.03
    failures: float = 0.0
    """Share of runs that come out `failure` worse: seeds that are not normally distributed at all."""
    failure: float = 0.1
    areas: tuple[int, int] = (50, 400)
    loss_image: float = 0.0
    """Deviation between images of each loss on its own: the losses differ in what they are good at."""

    def counts(self, rng: np.random.Generator) -> Counts:
        """`[L, S, N, 1, 4]`."""
        losses = len(self.effects)
        seed = rng.normal(0, self.shared_seed, (1, self.seeds, 1)) + rng.normal(
            0, np.reshape(self.own_seed, (-1, 1, 1)), (losses, self.seeds, 1)
        )
        seed -= self.failure * (rng.random(seed.shape) < self.failures)
        image = rng.normal(0, self.image, (1, 1, self.images))
        if self.loss_image:
            image = image + rng.normal(0, self.loss_image, (losses, 1, self.images))
        noise = rng.normal(0, self.noise, (losses, self.seeds, self.images))
        ability = self.skill + np.reshape(self.effects, (-1, 1, 1)) + seed + image + noise
        area = rng.integers(*self.areas, self.images)
        tp = np.rint(area * ability.clip(0.01, 0.99)).astype(np.int64)
        fp = np.rint(area * (1 - ability).clip(0.01, 0.99)).astype(np.int64)
        return np.stack([tp, fp, area - tp, 4096 - area - fp], axis=-1)[..., None, :]

    def truth(self, parts: int = 10) -> Floats:
        """`[L]`: mIoU over `parts` × 50 seeds and `parts` × 2,000 images: with 10, known to 0.1 points."""
        whole = replace(self, seeds=50, images=2000)
        rng = np.random.default_rng(12345)
        means = [[miou(table, unweighted).mean() for table in whole.counts(rng)] for _ in range(parts)]
        return np.mean(means, axis=0)


def with_rare_classes(
    rng: np.random.Generator, seeds: int, images: int, effects: Sequence[float] = (0.0,), rare: float = 0.05
) -> Counts:
    """`[L, S, N, 20, 4]`: two classes that are in most images and easy, 18 that are in a share `rare` and harder.

    A class is predicted by mistake in one of a hundred images without it, if it is in a twentieth of them.
    """
    rates, skill = np.array([0.6] * 2 + [rare] * 18), np.array([0.9] * 2 + np.linspace(0.4, 0.9, 18).tolist())
    losses = len(effects)
    area = rng.integers(50, 400, (images, 20)) * (rng.random((images, 20)) < rates)
    ability = np.reshape(effects, (-1, 1, 1, 1)) + skill + rng.normal(0, 0.02, (losses, seeds, 1, 20))
    ability = ability + rng.normal(0, 0.1, (images, 20)) + rng.normal(0, 0.03, (losses, seeds, images, 20))
    tp = np.rint(area * ability.clip(0.01, 0.99)).astype(np.int64)
    mistaken = rng.random(tp.shape) < 0.2 * rates
    fp = np.where(area > 0, area - tp, 200 * mistaken)
    return np.stack([tp, fp, area - tp, 4096 - area - fp], axis=-1)


def miou(counts: Counts, sums: Sums) -> Floats:
    """`[D, S]`: mIoU of counts `[S, N, C, 4]`, which needs no boundaries."""
    return METRICS["miou"].value(Draws(counts, np.empty((*counts.shape[:3], 5)), sums))


def comparison(counts: Counts, resampler: Resampler) -> Comparison:
    """What `loss_results.load` makes of score files with these counts at both thresholds; mIoU only."""
    losses = {}
    for index, table in enumerate(counts):
        seeds, images = tuple(range(table.shape[0])), tuple(map(str, range(table.shape[1])))
        values = {("miou", "tuned"): miou(table, resampler.sums)}
        scores = Scores(seeds, images, ("disk",), dict.fromkeys(THRESHOLDS, table))
        losses[f"loss{index}"] = LossResult(scores, resampler, values, seeds, comparable=True)
    return Comparison("simulated", "network", ("disk",), losses, [])


def with_seeds(compared: Comparison, seeds: Mapping[str, int]) -> Comparison:
    """The same, had each loss been trained with its first so many seeds only."""
    losses = {}
    for loss, number in seeds.items():
        whole, kept = compared.losses[loss], range(number)
        counts = {rule: table[:number] for rule, table in whole.scores.counts.items()}
        scores = replace(whole.scores, seeds=tuple(kept), counts=counts)
        values = {key: whole.of(*key, kept) for key in whole.values}
        losses[loss] = replace(whole, scores=scores, values=values, trained=tuple(kept))
    failures = convergence.failures({loss: each.values["miou", "tuned"][0, :, None] for loss, each in losses.items()})
    for loss, failed in failures.items():
        losses[loss].failed = tuple(np.flatnonzero(failed[:, 0]).tolist())
    return replace(compared, losses=losses)
