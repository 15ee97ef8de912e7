"""Are the intervals right? Coverage in simulated runs with a known truth; `verdict_simulations.py` tries the verdict.

    python benchmarks/coverage_of_intervals.py [--simulations 2000]

Coverage is that of 95 % intervals of mIoU for one loss and for a difference to the baseline, of three kinds:
`percentile`, both seeds and images resampled, as bootstrap intervals mostly are; `expanded`, the same with the seeds'
part widened by √(S / (S − 1)); and ours, `t`. False positives and power are shares of simulated comparisons of the
default size (six losses) in which any verdict, or the verdict on the loss that truly is 3 points better, is better or
worse. Prints Markdown.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests/support")]

from simulated_runs import SETTINGS, Simulation, miou, with_rare_classes  # noqa: E402

from losslab.comparison.resampling import Resampler  # noqa: E402
from losslab.evaluation.aggregates import Floats, unweighted  # noqa: E402

CASES = {
    "seeds 1 point apart": Simulation(effects=(0.0, 0.0)),
    "seeds 5 points apart": Simulation(effects=(0.0, 0.0), shared_seed=0.04, own_seed=0.04),
    "images decide": Simulation(effects=(0.0, 0.0), shared_seed=0.001, own_seed=0.001, image=0.2),
    "one run in six fails": Simulation(effects=(0.0, 0.0), failures=1 / 6),
    "half of the runs fail": Simulation(effects=(0.0, 0.0), failures=1 / 2),
    "a loss is good at images of its own": Simulation(effects=(0.0, 0.0), images=200, own_seed=0.003, loss_image=0.1),
}
RARE = {"rare classes in 1.6 of 32 images": (32, 0.05), "rare classes in 10 of 200 images": (200, 0.05)}


def coverage(case: Simulation, simulations: int) -> dict[str, dict[str, float]]:
    """By quantity (mean, difference) and kind of interval, how often it held the truth; and the width of ours."""
    truth = case.truth(parts=50)
    wanted = {"mean": truth[0], "difference": truth[1] - truth[0]}
    resampler = Resampler(case.images, SETTINGS.resamples, 0)
    held: dict[str, dict[str, list[float]]] = {what: {} for what in wanted}
    for trial in range(simulations):
        rng = np.random.default_rng([trial, case.seeds])
        baseline, other = (miou(table, resampler.sums) for table in case.counts(rng))
        for what, values in (("mean", baseline), ("difference", other - baseline)):
            for kind, (low, high) in intervals(values, resampler, rng):
                held[what].setdefault(kind, []).append(low <= wanted[what] <= high)
                held[what].setdefault(f"width {kind}", []).append(100 * (high - low))
    return {what: {kind: float(np.mean(shares)) for kind, shares in kinds.items()} for what, kinds in held.items()}


def leaders(losses: int, seeds: int, simulations: int) -> float:
    """How often the interval of the loss that came first holds the truth, all being equal."""
    case = Simulation(seeds=seeds, images=400, shared_seed=0.001, own_seed=0.03, effects=(0.0,) * losses)
    truth, resampler = case.truth(parts=50)[0], Resampler(case.images, SETTINGS.resamples, 0)
    held = 0
    for trial in range(simulations):
        values = [miou(table, resampler.sums) for table in case.counts(np.random.default_rng([trial, seeds, 2]))]
        low, high = resampler.interval(max(values, key=lambda each: each[0].mean()), 0.95)
        held += low <= truth <= high
    return held / simulations


def rare(images: int, rate: float, seeds: int, simulations: int) -> dict[str, tuple[float, float]]:
    """Where 18 of 20 classes are rare, by quantity: how often the interval held the truth, and its own estimate."""
    effects = (0.0, 0.03)
    parts = [
        [
            miou(table, unweighted).mean()
            for table in with_rare_classes(np.random.default_rng([n, 3]), 10, 5000, effects, rate)
        ]
        for n in range(8)
    ]
    truth, resampler = np.mean(parts, axis=0), Resampler(images, SETTINGS.resamples, 0)
    held: dict[str, list[tuple[bool, bool]]] = {"mean": [], "difference": []}
    for trial in range(simulations):
        drawn = with_rare_classes(np.random.default_rng([trial, seeds, 4]), seeds, images, effects, rate)
        baseline, other = (miou(table, resampler.sums) for table in drawn)
        wanted = (("mean", baseline, truth[0]), ("difference", other - baseline, truth[1] - truth[0]))
        for what, values, true in wanted:
            low, high = resampler.interval(values, 0.95)
            held[what].append((low <= true <= high, low <= values[0].mean() <= high))
    return {what: tuple(np.mean(each, axis=0).tolist()) for what, each in held.items()}


def intervals(values: Floats, resampler: Resampler, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Intervals of the mean of values `[1 + resamples, S]`."""
    seeds = values.shape[1]
    weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), len(values) - 1) / seeds
    wider = 1 / seeds + (weights - 1 / seeds) * np.sqrt(seeds / (seeds - 1))
    for kind, drawn in (("percentile", weights), ("expanded", wider)):
        yield kind, np.quantile((values[1:] * drawn).sum(axis=1), [0.025, 0.975])
    yield "t", np.array(resampler.interval(values, 0.95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    simulations = parser.parse_args().simulations
    start = time.perf_counter()

    print(f"\nCoverage of 95 % intervals, {simulations} simulations each (standard error "
          f"{100 * (0.95 * 0.05 / simulations) ** 0.5:.1f}), and mean width of the interval in points\n")  # fmt: skip
    print("| case | quantity | seeds | percentile | expanded | t (ours) | width percentile | width t |")
    print("|---|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        for seeds in (3, 5, 8):
            for what, held in coverage(replace(case, seeds=seeds), simulations).items():
                shares = " | ".join(f"{100 * held[kind]:.1f} %" for kind in ("percentile", "expanded", "t"))
                widths = " | ".join(f"{held[f'width {kind}']:.1f}" for kind in ("percentile", "t"))
                print(f"| {name} | {what} | {seeds} | {shares} | {widths} |", flush=True)

    print("\nThe interval of the loss that comes first of six equal ones\n\n| seeds | held |\n|---|---|")
    for seeds in (3, 5, 8):
        print(f"| {seeds} | {100 * leaders(6, seeds, simulations):.1f} % |", flush=True)

    print("\nRare classes: how often t held the truth, and its own estimate\n")
    print("| case | quantity | seeds | truth | estimate |\n|---|---|---|---|---|")
    for name, (images, rate) in RARE.items():
        for seeds in (1, 3, 8):
            for what, (truth, estimate) in rare(images, rate, seeds, simulations).items():
                print(f"| {name} | {what} | {seeds} | {100 * truth:.1f} % | {100 * estimate:.1f} % |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
