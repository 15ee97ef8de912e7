"""The same search for every loss: so many trainings, and the settings with the best validation mIoU.

Learning rates are spread evenly over the logarithms of a range. Where weight decay or options of losses are searched
too, the trials are the points of a Halton sequence (Halton 1960), which fills all ranges at once. Momentum is tried
after that, at the best settings. The test set is never read, and no seed of a trial is one that is trained later.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from losslab.inference import devices
from losslab.results import paths, tuning_table
from losslab.results.files import atomic_folder
from losslab.results.history import JUDGED_BY, Row
from losslab.results.runs import Run
from losslab.results.tuning_table import Point, Tried
from losslab.settings.params import SGD, AdamW, Tune
from losslab.settings.plans import TunePlan
from losslab.training import processes
from losslab.training.loop import Progress
from losslab.training.seeds import OnEpoch, trained

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19)
DIGITS = 6
"""Significant digits of a value that is tried."""


@dataclass(frozen=True)
class Trial:
    """What takes the place of settings: of the optimiser, and options of the loss."""

    optimizer: AdamW | SGD
    options: tuple[tuple[str, float], ...] = ()


def trials(tune: Tune, start: AdamW | SGD, options: Mapping[str, tuple[float, float]]) -> list[Trial]:
    """What is tried first, in order: learning rates, and with them weight decay and the loss's options."""
    low, high = tune.rates(start.lr)
    if tune.weight_decay is None and not tune.options:
        places = [0.5] if tune.trials == 1 else np.linspace(0, 1, tune.trials).tolist()
        return [Trial(start.model_copy(update={"lr": _between(low, high, place)})) for place in places]
    found = []
    for index in range(1, tune.trials + 1):
        # The rates and decays of a trial are the same for every loss, whatever options each has.
        point = [_radical_inverse(index, prime) for prime in PRIMES[: 2 + len(options)]]
        update = {"lr": _between(low, high, point[0])}
        if tune.weight_decay is not None:
            update["weight_decay"] = _between(*tune.weight_decay, point[1])
        of_loss = tuple(
            (name, _rounded(least + (most - least) * place))
            for (name, (least, most)), place in zip(sorted(options.items()), point[2:], strict=True)
        )
        found.append(Trial(start.model_copy(update=update), of_loss))
    return found


def momenta(tune: Tune, best: Trial) -> list[Trial]:
    """What is tried after that: momenta at the best settings."""
    wanted = [momentum for momentum in tune.momentum if isinstance(best.optimizer, SGD)]
    return [Trial(best.optimizer.model_copy(update={"momentum": momentum}), best.options) for momentum in wanted]


def search(first: Sequence[Trial], then: Callable[[Trial], Sequence[Trial]], score: Callable[[Trial], float]) -> Trial:
    """The best of `first` and of what is to be tried `then`, at the best of them; of equals the first tried."""
    best = max(first, key=score)
    at_best = {best: score(best)} | {trial: score(trial) for trial in then(best) if trial != best}
    return max(at_best, key=lambda trial: at_best[trial])


def run(plan: TunePlan, on_epoch: Callable[[int, Run, Sequence[Row], str], object]) -> None:
    """Try all that `plan` asks for and write `results/tune/<cell>`. Goes on from checkpoints where there are any.

    Args:
        plan: with a search in it.
        on_epoch: is told of each epoch, as `seeds.train_seeds` has it, and before that how many trials are done.
    """
    assert plan.tune is not None
    assert plan.of is not None
    tune, of = plan.tune, plan.of
    numbers: dict[Trial, int] = {}
    tried: list[Tried] = []
    curves: list[Point] = []

    def score(trial: Trial) -> float:
        if trial not in numbers:
            numbers[trial] = number = len(numbers) + 1
            train = of.train.model_copy(update={"optimizer": trial.optimizer})
            its_plan = of.model_copy(update={"train": train, "loss_spec": of.loss_spec | dict(trial.options)})
            told: OnEpoch = lambda *told: on_epoch(number - 1, *told)  # noqa: E731
            done = [(run.seed, progress) for run, progress, _ in trained(its_plan, told)[0]]
            tried.extend(_tried(number, trial, seed, progress) for seed, progress in done)
            curves.extend(
                Point(number, row.seed, row.epoch, row.metric, row.value)
                for _, progress in done
                for row in progress.rows
                if row.split == "val" and row.metric in ("loss", *JUDGED_BY)
            )
        return processes.from_first(tuning_table.scores(tried)[numbers[trial]])

    first = trials(tune, of.train.optimizer, tune.options.get(of.loss, {}))
    with processes.together(devices.prepare(of.train)):
        best = search(first, lambda trial: momenta(tune, trial), score)
    if not processes.is_first():
        return
    chosen: dict[str, Any] = {}
    if score(best) > 0:
        optimizer = best.optimizer.model_dump(include={"lr", "momentum", "weight_decay"})
        chosen = {"trial": numbers[best], "optimizer": optimizer, "loss": dict(best.options)}
        chosen["untuned"] = numbers.get(Trial(of.train.optimizer))
        rates = [trial.optimizer.lr for trial in first]
        at_end = len(set(rates)) > 1 and best.optimizer.lr in (min(rates), max(rates))
        settings = ", ".join(f"{name} {value:g}" for name, value in (*optimizer.items(), *best.options))
        remark = "; no rate beyond that was tried: widen tune.lr" if at_end else ""
        print(f"{of.cell}: best of {len(numbers)} trials: {settings}{remark}")
    else:
        print(f"{of.cell}: nothing learned in any of {len(numbers)} trials; the settings stay as they are")
    with atomic_folder(paths.TUNE / of.cell.path) as folder:
        tuning_table.write(folder, tried, curves, chosen)


def _tried(number: int, trial: Trial, seed: int, progress: Progress) -> Tried:
    optimizer = trial.optimizer
    return Tried(
        number,
        optimizer.kind,
        optimizer.lr,
        optimizer.momentum if isinstance(optimizer, SGD) else None,
        optimizer.weight_decay,
        json.dumps(dict(trial.options), sort_keys=True),
        seed,
        None if progress.diverged else round(progress.kept_miou, DIGITS),
    )


def _between(low: float, high: float, place: float) -> float:
    """The value at a place from 0 to 1 on the logarithmic scale from `low` to `high`."""
    return _rounded(low * (high / low) ** place)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _radical_inverse(index: int, base: int) -> float:
    """The digits of `index` in a base, mirrored at the point: the coordinate of a Halton sequence."""
    value, weight = 0.0, 1.0
    while index:
        weight /= base
        index, digit = divmod(index, base)
        value += digit * weight
    return value
