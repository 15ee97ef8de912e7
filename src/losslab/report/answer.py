"""The answer in a sentence: which loss, by how much, how sure; and no more than the numbers bear."""

from typing import NamedTuple

from losslab.comparison.significance import seeds_needed
from losslab.evaluation.metrics import METRICS
from losslab.report.evidence import Evidence
from losslab.report.figures.style import signed
from losslab.results.standings import RANKED_BY


class Answer(NamedTuple):
    """What stands at the top of a data set's page."""

    sentence: str
    detail: str
    best: str | None


def answer(evidence: Evidence, confidence: float) -> Answer:
    """The verdict on one data set, from the leaderboard at the tuned threshold."""
    ranked = [row for row in evidence.ranked if row.mean is not None]
    if not ranked:
        return Answer("Every run diverged: there is nothing to compare.", "", None)
    best, metric = ranked[0], METRICS[RANKED_BY]
    mean, low, high = (metric.text(value) for value in (best.mean, best.low, best.high))
    interval = f"{100 * confidence:.3g} % interval"
    score = f"test {metric.title} {mean} ({interval} {low} to {high})"
    if len(ranked) == 1:
        what = "is the only loss of the grid" if len(evidence.losses) == 1 else "alone gave a model"
        return Answer(f"{best.loss} {what}, with {score}: there is nothing to compare it with.", "", best.loss)

    second = ranked[1]
    detail = [f"{best.loss} has {score}."]
    gap = 100 * ((best.mean or 0) - (second.mean or 0))
    if best.delta is None:
        if best.loss == evidence.baseline:
            sentence = (
                f"No loss is better than the baseline {best.loss}; the next, {second.loss}, is {gap:.1f} points below."
            )
        else:
            sentence = f"{best.loss} comes first, {gap:.1f} points above {second.loss}, but the baseline gave no model."
    else:
        gain, least, most = (100 * (value or 0.0) for value in (best.delta, best.delta_low, best.delta_high))
        where = f"{interval} {signed(least)} to {signed(most)}"
        by = f"{gain:.1f} {metric.title} points above the baseline {evidence.baseline} ({where})"
        if best.verdict == "better":
            sentence = f"Train with {best.loss}: {by}."
        elif best.verdict == "n too small":
            seeds = "one seed is" if best.seeds == 1 else f"{best.seeds} seeds are"
            sentence = f"{best.loss} comes first, {by}; {seeds} too few to call that significant."
        else:
            sentence = f"No difference to the baseline is shown: {best.loss} comes first, {by}."
        if second.loss != evidence.baseline:
            detail.append(f"The next, {second.loss}, is {gap:.1f} points below.")
    detail += _probability(evidence, best.loss, len(ranked))
    if any(row.verdict == "n too small" for row in ranked):
        tests = sum(row.p is not None for row in ranked)
        what = "one difference" if tests == 1 else f"{tests} differences"
        detail.append(f"A test of {what} needs {seeds_needed(tests, confidence)} seeds (train.seeds).")
    lost = [row.loss for row in evidence.ranked if row.mean is None]
    if lost:
        detail.append(f"Without a model, since every seed diverged: {', '.join(lost)}.")
    return Answer(sentence, " ".join(detail), best.loss)


def _probability(evidence: Evidence, best: str, losses: int) -> list[str]:
    p = (evidence.analysis.get("best_probability") or {}).get(best)
    if p is None:
        return []
    sure = "" if p >= 0.95 else ", so the order of the first is not settled"
    return [f"The probability that it is the best of the {losses} is {percent(p)}{sure}."]


def percent(p: float) -> str:
    """A probability in words that never claim certainty."""
    return "over 99 %" if p > 0.99 else "under 1 %" if p < 0.01 else f"{100 * p:.0f} %"
