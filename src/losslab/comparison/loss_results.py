"""Everything that the losses scored with one network on one data set, drawn again and again, ready to be compared."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from losslab.comparison import convergence
from losslab.comparison.resampling import Resampler
from losslab.errors import InputError
from losslab.evaluation import metrics
from losslab.evaluation.aggregates import Draws, Floats, class_iou_draws, unweighted
from losslab.results import boundary_scores, history, paths, scores
from losslab.results.history import Row
from losslab.results.scores import Scores
from losslab.results.standings import ranking_rule
from losslab.settings.plans import Cell, ComparePlan

OK = "ok"


@dataclass
class LossResult:
    """What one loss scored."""

    scores: Scores
    resampler: Resampler
    values: dict[tuple[str, str], Floats]
    """By metric and threshold rule, `[1 + resamples, S]`; draw 0 is the data as they are. Empty without a score."""
    trained: tuple[int, ...]
    """Seeds in the order of the plan, those that diverged among them."""
    comparable: bool
    """Whether the images and classes are those of the other losses."""
    history: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What is to be known of these runs."""
    unlearned: list[str] = field(default_factory=list)
    """Classes that some of these runs did not learn."""
    failed: tuple[int, ...] = ()
    """Seeds that did not learn a class."""
    rising: list[str] = field(default_factory=list)
    """What else shows that they should have been trained for longer."""

    @property
    def status(self) -> str:
        """What is to be known of these runs in a line, or `ok`."""
        return "; ".join(self.remarks) or OK

    @property
    def diverged(self) -> tuple[int, ...]:
        """Seeds whose training diverged."""
        return tuple(seed for seed in self.trained if seed not in self.scores.seeds)

    @property
    def unreliable(self) -> list[str]:
        """What some of these runs failed at."""
        failed = [f"diverged in {len(self.diverged)} of {len(self.trained)} runs"] if self.diverged else []
        return failed + self.unlearned

    @property
    def unconverged(self) -> list[str]:
        """What shows that these runs should have been trained for longer."""
        return self.rising + self.unlearned

    def of(self, metric: str, threshold: str, seeds: Sequence[int]) -> Floats:
        """`[1 + resamples, len(seeds)]`: the values of some of the seeds."""
        return self.values[metric, threshold][:, [self.scores.seeds.index(seed) for seed in seeds]]


@dataclass
class Comparison:
    """The losses of one data set and network, in the order of the grid."""

    dataset: str
    network: str
    classes: tuple[str, ...]
    losses: dict[str, LossResult]
    remarks: list[str]
    """A line for each thing that keeps the comparison from saying all it could."""

    @property
    def unconverged(self) -> list[str]:
        """Losses that should have been trained for longer."""
        return [loss for loss, result in self.losses.items() if result.unconverged]

    @property
    def rule(self) -> str:
        """The threshold rule that ranks the losses."""
        return ranking_rule([rule for result in self.losses.values() for rule in result.scores.counts])


def load(plan: ComparePlan, dataset: str, network: str) -> Comparison:
    """Read the scores, boundaries and extra metrics of every loss with a network on a data set and draw from them.

    Raises:
        InputError: a file is missing or damaged, or the tables of a loss do not belong together.
    """
    cells = {loss: Cell(dataset, network, loss) for loss in plan.grid.losses}
    tables = {loss: scores.read(paths.scores_file(cell)) for loss, cell in cells.items()}
    scored = Counter((table.images, table.classes) for table in tables.values() if table.seeds)
    common = scored.most_common(1)[0][0] if scored else ((), ())
    extras = {loss: scores.read_extras(paths.EVALUATE / cell.path, tables[loss]) for loss, cell in cells.items()}
    for metric in dict.fromkeys(metric for of_loss in extras.values() for metric in of_loss):
        for loss, cell in cells.items():
            if metric not in extras[loss]:
                raise InputError(
                    f"{paths.extra_file(cell, metric)}: not found, and other losses have it; run `dvc repro`"
                )
    resamplers: dict[int, Resampler] = {}
    results = {}
    for loss, cell in tqdm(cells.items(), f"{dataset} {network}: draws", unit="loss", disable=None):
        table, path = tables[loss], paths.boundaries_file(cell)
        edges = boundary_scores.read(path)
        if (edges.seeds, edges.images, edges.classes) != (table.seeds, table.images, table.classes):
            raise InputError(f"{path}: not of the seeds and images of the scores; remove it and run `dvc repro`")
        images = len(table.images)
        resampler = resamplers.get(images) or Resampler(images, plan.compare.resamples, plan.compare.seed)
        resamplers[images] = resampler
        values: dict[tuple[str, str], Floats] = {}
        for threshold in table.counts if table.seeds else ():
            tables_of_rule = table.counts[threshold], edges.values[threshold]
            exclusive = threshold == scores.ARGMAX
            more = {metric: of_rule[threshold] for metric, of_rule in extras[loss].items()}
            drawn = metrics.compute(Draws(*tables_of_rule, resampler.sums, table.classes, exclusive, more))
            values |= {(metric, threshold): array for metric, array in drawn.items()}
        rows = history.read(paths.history_file(cell))
        seeds = plan.seeds_of(cell)
        steps = {seed: step for seed in seeds if (step := history.diverged_step(rows, seed)) is not None}
        trained = tuple(seed for seed in seeds if seed in table.seeds or seed in steps)
        result = LossResult(table, resampler, values, trained, (table.images, table.classes) == common)
        result.remarks = _remarks(result, len(seeds), list(steps.values()))
        result.history, result.rising = rows, convergence.still_rising(rows)
        results[loss] = result
    compared = Comparison(dataset, network, common[1], results, [])
    learned = {
        loss: class_iou_draws(result.scores.counts[compared.rule], unweighted)[0]
        for loss, result in results.items()
        if result.comparable and result.values
    }
    failures = convergence.failures(learned)
    untaught = _untaught(dataset)
    for loss, failed in failures.items():
        failed[:, [name in untaught for name in common[1]]] = False  # which no longer training would help
        results[loss].unlearned = convergence.unlearned(failed, common[1])
        results[loss].failed = tuple(np.array(tables[loss].seeds)[failed.any(axis=1)].tolist())
    compared.remarks = _lines(plan, results) + [
        f"{name}: in no training image, so that no loss can learn it" for name in untaught
    ]
    return compared


def _remarks(result: LossResult, seeds: int, steps: Sequence[int]) -> list[str]:
    table = result.scores
    remarks = []
    if steps:
        remarks.append(f"diverged: {len(steps)} of {seeds} seeds, first at step {min(steps)}")
    if len(table.seeds) < seeds - len(steps):
        what = f"{len(table.seeds)} of {seeds - len(steps)} trained seeds are scored" if table.seeds else "no scores"
        remarks.append(f"{what}: is the test set empty? run `dvc repro`")
    if len(table.seeds) == 1 < seeds:
        remarks.append("one seed left: its interval covers test images only")
    if table.seeds and not result.comparable:
        remarks.append("scored on other images than the rest, so not compared: run `dvc repro`")
    return remarks


def _lines(plan: ComparePlan, results: dict[str, LossResult]) -> list[str]:
    lines = [f"{loss}: {result.status}" for loss, result in results.items() if result.remarks]
    lines += [
        f"{loss}: {', '.join(result.unconverged)}; train longer before you believe this"
        for loss, result in results.items()
        if result.unconverged
    ]
    if len(plan.seeds) == 1:
        lines.append("one seed: intervals cover test images only, and nothing can be decided; add train.seeds")
    if len(results) == 1:
        lines.append("one loss: there is nothing to compare it with; add to grid.losses")
    common = next((result for result in results.values() if result.comparable and result.values), None)
    if common is not None:
        counts = next(iter(common.scores.counts.values()))[0].sum(axis=0)  # [C, 4]
        absent = [name for name, (tp, _, fn, _) in zip(common.scores.classes, counts, strict=True) if tp + fn == 0]
        lines += [f"{name}: no pixel in the test set; the class is left out of every mean" for name in absent]
    return lines


def _untaught(dataset: str) -> list[str]:
    """The classes that the training images lack, as the extraction found."""
    path = paths.TENSORS / dataset / "extract.json"
    if not path.is_file():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8")).get("absent_classes", {}).get("train", []))
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and run `dvc repro`") from None
