"""Everything that the losses of one data set scored, drawn again and again over images, ready to be compared."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from losslab import boundaries, history, runs, scores, statistics
from losslab.errors import InputError
from losslab.params import Params
from losslab.scores import Scores
from losslab.statistics import Floats, Resampler

OK = "ok"


@dataclass
class Evidence:
    """What one loss scored."""

    scores: Scores
    resampler: Resampler
    values: dict[tuple[str, str], Floats]
    """By metric and threshold rule, `[1 + resamples, S]`; draw 0 is the data as they are. Empty without a score."""
    comparable: bool
    """Whether the images and classes are those of the other losses."""
    remarks: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """What is to be known of these runs in a line, or `ok`."""
        return "; ".join(self.remarks) or OK

    def of(self, metric: str, threshold: str, seeds: Sequence[int]) -> Floats:
        """`[1 + resamples, len(seeds)]`: the values of some of the seeds."""
        return self.values[metric, threshold][:, [self.scores.seeds.index(seed) for seed in seeds]]


@dataclass
class Comparison:
    """The losses of one data set, in the order of the grid."""

    dataset: str
    classes: tuple[str, ...]
    losses: dict[str, Evidence]
    remarks: list[str]
    """A line for each thing that keeps the comparison from saying all it could."""

    def rivals(self) -> dict[str, Evidence]:
        """The losses that can be compared with others: two seeds at least, on the same images."""
        return {
            loss: found
            for loss, found in self.losses.items()
            if found.comparable and found.values and len(found.scores.seeds) > 1
        }


def load(params: Params, dataset: str) -> Comparison:
    """Read the scores and boundaries of every loss on a data set and draw from them.

    Raises:
        InputError: a file is missing or damaged, or boundaries and scores of a loss do not belong together.
    """
    tables = {loss: scores.read(runs.scores_file(dataset, loss)) for loss in params.grid.losses}
    scored = Counter((table.images, table.classes) for table in tables.values() if table.seeds)
    common = scored.most_common(1)[0][0] if scored else ((), ())
    resamplers: dict[int, Resampler] = {}
    found = {}
    for loss in tqdm(params.grid.losses, f"{dataset}: draws", unit="loss", disable=None):
        table, path = tables[loss], runs.boundaries_file(dataset, loss)
        edges = boundaries.read(path)
        if (edges.seeds, edges.images, edges.classes) != (table.seeds, table.images, table.classes):
            raise InputError(f"{path}: not of the seeds and images of the scores; remove it and run `dvc repro`")
        images = len(table.images)
        resampler = resamplers.get(images) or Resampler(images, params.compare.resamples, params.compare.seed)
        resamplers[images] = resampler
        values: dict[tuple[str, str], Floats] = {}
        for threshold in scores.THRESHOLDS if table.seeds else ():
            drawn = statistics.from_counts(table.counts[threshold], resampler.sums)
            drawn |= statistics.from_boundaries(edges.values[threshold], resampler.sums)
            values |= {(metric, threshold): array for metric, array in drawn.items()}
        comparable = (table.images, table.classes) == common
        remarks = _remarks(params, dataset, loss, table, comparable)
        found[loss] = Evidence(table, resampler, values, comparable, remarks)
    return Comparison(dataset, common[1], found, _lines(params, found))


def _remarks(params: Params, dataset: str, loss: str, table: Scores, comparable: bool) -> list[str]:
    rows = history.read(runs.history_file(dataset, loss))
    steps = [step for seed in params.train.seeds if (step := history.diverged_step(rows, seed)) is not None]
    seeds = len(params.train.seeds)
    remarks = []
    if steps:
        remarks.append(f"diverged: {len(steps)} of {seeds} seeds, first at step {min(steps)}")
    if len(table.seeds) < seeds - len(steps):
        what = f"{len(table.seeds)} of {seeds - len(steps)} trained seeds are scored" if table.seeds else "no scores"
        remarks.append(f"{what}: is the test set empty? run `dvc repro`")
    if len(table.seeds) == 1 < seeds:
        remarks.append("one seed left: its interval covers test images only")
    if table.seeds and not comparable:
        remarks.append("scored on other images than the rest, so not compared: run `dvc repro`")
    return remarks


def _lines(params: Params, found: dict[str, Evidence]) -> list[str]:
    lines = [f"{loss}: {evidence.status}" for loss, evidence in found.items() if evidence.remarks]
    if len(params.train.seeds) == 1:
        lines.append("one seed: intervals cover test images only, and no difference can be tested; add train.seeds")
    if len(found) == 1:
        lines.append("one loss: there is nothing to compare it with; add to grid.losses")
    common = next((evidence for evidence in found.values() if evidence.comparable and evidence.values), None)
    if common is not None:
        counts = common.scores.counts["fixed"][0].sum(axis=0)  # [C, 4]
        absent = [name for name, (tp, _, fn, _) in zip(common.scores.classes, counts, strict=True) if tp + fn == 0]
        lines += [f"{name}: no pixel in the test set; the class is left out of every mean" for name in absent]
    return lines
