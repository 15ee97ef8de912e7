"""Is the verdict right? Simulated races and choices with a known truth.

    python benchmarks/verdict_simulations.py [--simulations 500]

A race adds a seed at a time to the losses that are still in it, drops what is worse, and ends at *best* or at 16
seeds. A *best* is false if another loss truly is as good or better. Printed beside: how often the loss that truly is
best was called so, after how many seeds, and what share it took of the trainings that 16 seeds of every loss take.

Races of `losslab decide` also end at *good enough*, and losses wait in them; their share is of the trainings that every
loss takes with as many seeds as the race came to. Then how far the chances and the expected cost of a choice can be
believed, by the number of seeds. And the boundary itself. Markdown.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("src", "tests/support")]

from simulated_races import CASES, MOST_SEEDS, Decision, decision, races  # noqa: E402

from losslab.comparison import chances, verification  # noqa: E402


@dataclass
class Choice:
    """What was said of the loss that came first, and what is true."""

    chance: float
    right: bool
    chance_of_true_best: float
    regret: float
    cost: float


def choices(seeds: int, simulations: int) -> list[Choice]:
    """Of losses that differ by 0 to 3 points, with deviations between seeds of 0.3 to 3 points."""
    made = []
    for trial in range(simulations):
        rng = np.random.default_rng([trial, seeds, 8])
        losses = int(rng.choice([2, 4, 6]))
        truth = rng.normal(0, rng.choice([0.001, 0.003, 0.01, 0.03]), losses)
        deviation = rng.choice([0.003, 0.01, 0.03]) * np.exp(0.4 * rng.normal(size=(losses, 1)))
        scores = truth[:, None] + rng.normal(0, 0.01, seeds) + rng.normal(size=(losses, seeds)) * deviation
        drawn = chances.draws(0.8 + scores, 400, trial)
        share = np.mean(drawn == drawn.max(axis=1, keepdims=True), axis=0)
        first, best = int(scores.mean(axis=1).argmax()), int(truth.argmax())
        regret, cost = chances.regret(drawn)[first], truth[best] - truth[first]
        made.append(Choice(share[first], first == best, share[best], 100 * regret, 100 * cost))
    return made


def row(made: list[Decision], losses: int) -> str:
    """Of races to a decision."""
    words = [each.verdict for each in made]
    shares = [100 * words.count(word) / len(made) for word in ("best", "good enough", "undecided")]
    shares.insert(1, 100 * np.mean([each.is_false for each in made]))
    used = sum(each.trainings for each in made) / sum(each.seeds * losses for each in made)
    cost = np.mean([100 * each.cost for each in made])
    seeds = np.median([each.seeds for each in made])
    return " | ".join([*(f"{share:.0f} %" for share in shares), f"{seeds:.0f}", f"{100 * used:.0f} %", f"{cost:.2f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=500)
    simulations = parser.parse_args().simulations
    start = time.perf_counter()

    bounds = verification.boundary(0.95, MOST_SEEDS)
    print(f"\nThe boundary at 95 % for 3 to {MOST_SEEDS} seeds: {', '.join(f'{bound:.3g}' for bound in bounds)}")
    print(f"The walk: {verification.walk_start(0.95, MOST_SEEDS)} in a row\n")

    print(f"Races, {simulations} of each (standard error of 5 %: {100 * (0.05 * 0.95 / simulations) ** 0.5:.1f})\n")
    print("| losses | false best | true best | seeds, median | trainings, of all |\n|---|---|---|---|---|")
    for name, case in CASES.items():
        results = races(case, simulations)
        false = np.mean([each.is_false for each in results])
        true = np.mean([each.best is not None for each in results]) - false
        used = np.mean([each.trainings for each in results]) / (MOST_SEEDS * len(case.effects))
        seeds = np.median([each.seeds for each in results])
        print(f"| {name} | {100 * false:.1f} % | {100 * true:.1f} % | {seeds:.0f} | {100 * used:.0f} % |", flush=True)

    print("\nRaces of `losslab decide`\n")
    print(
        "| losses | margin | best | false best | good enough | undecided | seeds, median | trainings, of all | cost |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, case in CASES.items():
        for margin in (0.01, 0.001):
            made = [decision(case, margin, trial) for trial in range(simulations // 5)]
            print(f"| {name} | {100 * margin:g} | {row(made, len(case.effects))} |", flush=True)

    print("\nChances to be best, and what choosing the first costs\n")
    print("| seeds | 90 % or more: right | 60 to 90 %: said, right | true best under 1 % | expected cost | true cost |")
    print("|---|---|---|---|---|---|")
    for seeds in (3, 5, 8):
        made = choices(seeds, simulations)
        sure = [each.right for each in made if each.chance >= 0.9]
        unsure = [each for each in made if 0.6 <= each.chance < 0.9]
        said, right = np.mean([each.chance for each in unsure]), np.mean([each.right for each in unsure])
        lost = np.mean([each.chance_of_true_best < 0.01 for each in made])
        expected, true = (np.mean([getattr(each, what) for each in made]) for what in ("regret", "cost"))
        print(
            f"| {seeds} | {100 * np.mean(sure):.0f} % | {100 * said:.0f} %, {100 * right:.0f} % | {100 * lost:.1f} % "
            f"| {expected:.2f} | {true:.2f} |",
            flush=True,
        )
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
