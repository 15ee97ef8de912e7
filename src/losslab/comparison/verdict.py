"""Which loss to train with: one rule, that leaderboard, report, terminal, MLflow and `losslab decide` go by.

- *worse than X*: a statement of one pair, for good (`verification`).
- *best*: every other loss in the race is worse than another, so that one is left.
- *good enough*: picking the leader is expected to cost at most `compare.margin` against the best (`chances`).
- *undecided*: neither, with a forecast of the seeds it would take.
- *unreliable*: runs diverged, or did not learn a class. A loss with a run that diverged cannot be best; in pairs that
  run counts as a score of 0, so that nothing is ranked by its survivors.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from losslab.comparison import chances, verification
from losslab.comparison.loss_results import Comparison, LossResult
from losslab.evaluation.aggregates import Floats
from losslab.results.standings import RANKED_BY, Pair, Verdict
from losslab.settings.params import Compare

FARTHEST = 200
"""Seeds: no forecast goes farther."""


def decide(compared: Comparison, settings: Compare) -> Verdict:
    """The verdict on the losses of one data set and network."""
    scores = {
        loss: ranking_scores(result, compared.rule)
        for loss, result in compared.losses.items()
        if result.comparable and result.trained
    }
    reliable = {
        loss: values
        for loss, values in scores.items()
        if not compared.losses[loss].diverged and not np.isnan(values[0]).any()
    }
    seeds = {loss: compared.losses[loss].trained for loss in scores}
    most_seeds = max([settings.most_seeds, *(len(each) for each in seeds.values())])
    rule = settings.confidence, most_seeds
    worse: dict[str, list[str]] = {}
    for better in reliable:
        for other in scores:
            pair = compared.losses[better], compared.losses[other]
            failed = [any(seed in loss.failed for loss in pair) for seed in common_seeds(seeds, better, other)]
            if other != better and verification.decided(_paired(scores, seeds, better, other), *rule, failed) > 0:
                worse.setdefault(other, []).append(better)
    contenders = [loss for loss in reliable if loss not in worse] or list(reliable)
    unreliable = {loss: "; ".join(text) for loss, r in compared.losses.items() if (text := r.unreliable)}
    verdict = Verdict(compared.dataset, compared.network, worse=worse, unreliable=unreliable)
    if not contenders:
        return verdict
    means = adjusted_means({loss: dict(zip(seeds[loss], scores[loss][0], strict=True)) for loss in contenders})
    contenders.sort(key=lambda loss: -means[loss])
    verdict.contenders, verdict.leader = contenders, contenders[0]
    pairs = {loss: _paired(scores, seeds, verdict.leader, loss) for loss in reliable if loss != verdict.leader}
    for loss, (values, *_) in pairs.items():
        points = round(float(100 * values.mean()), 4) if len(values) else None
        walk = bool(verification.walked(values, *rule).any())
        verdict.against[loss] = Pair(points, int((values > 0).sum()), int((values < 0).sum()), walk)
    rivals = contenders[1:]
    looked = [loss for loss in rivals if pairs[loss].shape[1] >= verification.FIRST_LOOK]
    regret, waiting = 0.0, list[str]()
    if len(reliable) > 1 and min(len(seeds[loss]) for loss in reliable) > 1:
        drawn = _draws(reliable, seeds, settings.seed)
        likely = zip(reliable, chances.best(drawn).tolist(), strict=True)
        verdict.chances = {loss: round(chance, 4) for loss, chance in likely}
        of_contenders = drawn[:, [list(reliable).index(loss) for loss in contenders]]
        regret = float(chances.regret(of_contenders)[0])
        verdict.regret = round(100 * regret, 4)
        costs = dict(zip(contenders, chances.costs(of_contenders, 0).tolist(), strict=True))
        waiting = [loss for loss in looked if costs[loss] <= settings.margin / len(rivals)]
    if not rivals:
        verdict.verdict = "best"
    elif looked == rivals and regret <= settings.margin:
        verdict.verdict = "good enough"
    else:
        verdict.waiting = waiting
        open_pairs = [pairs[loss] for loss in rivals]
        verdict.forecast_seeds = forecast(open_pairs, verification.boundary(*rule), settings.margin)
    return verdict


def next_to_train(verdict: Verdict, seeds: Mapping[str, int], most_seeds: int) -> list[str]:
    """The losses that are to have one more seed; none once nothing is open, or all contenders have `most_seeds`.

    Those that wait go on once the others have all they may have. Those with the fewest seeds go first, since losses are
    compared seed by seed.
    """
    if verdict.verdict != "undecided" or len(verdict.contenders) < 2:
        return []
    able = [loss for loss in verdict.contenders if seeds[loss] < most_seeds]
    racing = [loss for loss in able if loss not in verdict.waiting] or able
    fewest = min((seeds[loss] for loss in racing), default=0)
    return [loss for loss in racing if seeds[loss] == fewest]


def ranking_scores(result: LossResult, rule: str) -> Floats:
    """`[1 + resamples, S]`: the metric that ranks, of all seeds that were trained; 0 where training diverged."""
    values = np.zeros((result.resampler.draws, len(result.trained)))
    if result.values:
        values[:, [result.trained.index(seed) for seed in result.scores.seeds]] = result.values[RANKED_BY, rule]
    return values


def adjusted_means(scores: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Loss → its mean over seeds, as if all had the same seeds: of score = loss + seed by least squares.

    Only their differences mean something. Where all have the same seeds, these are those of the plain means. Losses
    that no seeds connect cannot be told apart like this; a grid gives all of them the same first seeds.
    """
    losses, seeds = list(scores), sorted({seed for of_loss in scores.values() for seed in of_loss})
    cells = [(loss, seed) for loss in losses for seed in scores[loss]]
    design = [[*(loss == one for one in losses), *(seed == one for one in seeds)] for loss, seed in cells]
    values = [scores[loss][seed] for loss, seed in cells]
    effects = np.linalg.lstsq(np.array(design, float), np.array(values))[0]
    return dict(zip(losses, effects.round(12).tolist(), strict=False))  # without what rounding makes of a tie


def common_seeds(seeds: Mapping[str, Sequence[int]], *losses: str) -> list[int]:
    """The seeds that all of these losses have."""
    return [seed for seed in seeds[losses[0]] if all(seed in seeds[loss] for loss in losses)]


def _paired(scores: Mapping[str, Floats], seeds: Mapping[str, Sequence[int]], one: str, other: str) -> Floats:
    """`[1 + resamples, S]`: one loss's values minus another's, over the seeds that both have."""
    common = common_seeds(seeds, one, other)
    first, second = (scores[loss][:, [seeds[loss].index(seed) for seed in common]] for loss in (one, other))
    return first - second


def _draws(scores: Mapping[str, Floats], seeds: Mapping[str, Sequence[int]], seed: int) -> Floats:
    """`[resamples, L]`: what each loss would score over seeds and images."""
    every = list(dict.fromkeys(one for loss in scores for one in seeds[loss]))
    table = np.full((len(scores), len(every)), np.nan)
    for row, (loss, values) in zip(table, scores.items(), strict=True):
        row[[every.index(one) for one in seeds[loss]]] = values[0]
    of_images = np.stack([values[1:].mean(axis=1) - values[0].mean() for values in scores.values()], axis=1)
    moved: Floats = np.nan_to_num(of_images)
    return chances.draws(table, len(of_images), seed) + moved


def forecast(pairs: Sequence[Floats], bounds: Sequence[float], margin: float) -> int | None:
    """Seeds in all with which *best* or *good enough* would be reached, if all stays as it looks now.

    None if that takes more than `FARTHEST`, or more test images, or cannot be said.

    Args:
        pairs: for each contender the leader's values minus its own, `[1 + resamples, S]`; S may differ.
        bounds: c(S) from three seeds on; the last stands for more seeds than it has.
        margin: in mIoU.
    """
    if min(pair.shape[1] for pair in pairs) < 2:
        return None
    now = max(pair.shape[1] for pair in pairs)
    ahead = np.array([pair[0].mean() for pair in pairs])
    of_seeds = np.mean([pair[0].var(ddof=1) for pair in pairs])  # of few seeds, so shared by the pairs
    of_images = np.array([verification.image_variance(pair) for pair in pairs])
    for seeds in range(max(now + 1, verification.FIRST_LOOK), FARTHEST + 1):
        deviation = np.sqrt(of_seeds / seeds + of_images) + 1e-12
        z = ahead / deviation
        regret = deviation * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) - ahead * ndtr(-z)
        bound = bounds[min(seeds - verification.FIRST_LOOK, len(bounds) - 1)]
        if (z >= bound).all() or regret.sum() <= margin:
            return seeds
    return None
