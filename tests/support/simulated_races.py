"""Races that never ran, with the true values known: to the best loss, and as `losslab decide` runs them."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from simulated_runs import SETTINGS, Simulation, comparison, miou, with_seeds

from losslab.comparison import convergence, verdict, verification
from losslab.comparison.resampling import Resampler
from losslab.evaluation.aggregates import Floats

MOST_SEEDS = SETTINGS.most_seeds
EQUAL = Simulation(seeds=MOST_SEEDS, images=100, effects=(0.0, 0.0))
CASES = {
    "two equal losses": EQUAL,
    "six equal losses": replace(EQUAL, effects=(0.0,) * 6),
    "two equal, four 5 points worse": replace(EQUAL, effects=(0.0, 0.0, *[-0.05] * 4)),
    "one that varies ten times as much": replace(EQUAL, own_seed=(0.002, 0.02)),
    "half of the runs do not learn the class": replace(EQUAL, failures=0.5, failure=0.5, own_seed=0.005),
    "one run in six does not learn it": replace(EQUAL, failures=1 / 6, failure=0.5, own_seed=0.005),
    "half of the runs are 10 points worse": replace(EQUAL, failures=0.5, failure=0.06, own_seed=0.005),
    "each good at images of its own": replace(EQUAL, images=200, own_seed=0.003, loss_image=0.1),
    "one of six 1 point better": replace(EQUAL, effects=(0.006, *[0.0] * 5)),
    "one of six 3 points better": replace(EQUAL, effects=(0.018, *[0.0] * 5)),
    "six in steps of a point": replace(EQUAL, effects=tuple(-0.006 * k for k in range(6))),
}


@dataclass
class Race:
    """How one went."""

    best: int | None
    """The loss that all others were worse than."""
    seeds: int
    """Of the losses that were last in it."""
    trainings: int
    is_false: bool = False
    """Whether another loss truly is as good as the one that was called the best."""


def race(values: list[Floats]) -> Race:
    """Values `[1 + resamples, S]` of each loss, had every seed been trained."""
    failed = convergence.failures({str(loss): each[0, :, None] for loss, each in enumerate(values)})
    decided = {}  # pair → at how many seeds, and which is worse
    for one, other in combinations(range(len(values)), 2):
        fails = (failed[str(one)] | failed[str(other)])[:, 0].tolist()
        if look := verification.decided(values[one] - values[other], 0.95, MOST_SEEDS, fails):
            decided[one, other] = (abs(look), other if look > 0 else one)
    running, trainings = set(range(len(values))), 0
    for seeds in range(1, MOST_SEEDS + 1):
        trainings += len(running)
        # All pairs of a look are compared before any loss is dropped.
        running -= {worse for pair, (look, worse) in decided.items() if look == seeds and running.issuperset(pair)}
        if len(running) < 2:
            break
    return Race(running.pop() if len(running) == 1 else None, seeds, trainings)


def races(case: Simulation, simulations: int) -> list[Race]:
    """So many of them."""
    resampler = Resampler(case.images, 100, 0)
    run = []
    for trial in range(simulations):
        counts = case.counts(np.random.default_rng([trial, 6]))
        one = race([miou(table, resampler.sums) for table in counts])
        if one.best is not None:
            others = np.delete(case.effects, one.best)
            one.is_false = bool((others >= case.effects[one.best]).any())
        run.append(one)
    return run


@dataclass
class Decision:
    """What a race of `losslab decide` came to."""

    verdict: str
    seeds: int
    """Of the loss with the most."""
    trainings: int
    is_false: bool
    """Whether it was called the best though another is as good."""
    cost: float
    """By how much the skill of the loss that was picked truly is behind the best."""


def decision(case: Simulation, margin: float, trial: int) -> Decision:
    """Three seeds of each loss, then one more for those that `next_to_train` names, until it names none."""
    settings = SETTINGS.model_copy(update={"margin": margin})
    whole = comparison(case.counts(np.random.default_rng([trial, 7])), Resampler(case.images, 200, 0))
    seeds = dict.fromkeys(whole.losses, verification.FIRST_LOOK)
    while True:
        said = verdict.decide(with_seeds(whole, seeds), settings)
        wanted = verdict.next_to_train(said, seeds, MOST_SEEDS)
        if not wanted:
            break
        seeds |= {loss: seeds[loss] + 1 for loss in wanted}
    behind = max(case.effects) - np.array(case.effects)
    picked = list(whole.losses).index(str(said.leader))
    is_false = said.verdict == "best" and bool((np.delete(behind, picked) <= behind[picked]).any())
    return Decision(said.verdict, max(seeds.values()), sum(seeds.values()), is_false, behind[picked])
