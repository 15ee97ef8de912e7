"""The verdict in two sentences, and what else is to be said of it; no more than the numbers bear."""

from collections.abc import Iterable, Mapping, Sequence

from losslab.comparison.chances import SUREST
from losslab.evaluation.metrics import METRICS
from losslab.results.standings import RANKED_BY, Standing, Verdict
from losslab.settings.params import Compare

METRIC = METRICS[RANKED_BY]
MOST_NAMES = 4
"""Losses that a sentence names; the others are counted."""
LITTLE = f"under {100 * (1 - SUREST):.0f} %"
"""The lowest chance that is stated."""


def write(verdict: Verdict, rows: Sequence[Standing], unconverged: Iterable[str], settings: Compare) -> None:
    """Set `headline` and `detail` of a verdict.

    Args:
        verdict: on one data set and network.
        rows: its leaderboard.
        unconverged: losses that should have been trained for longer.
        settings: of `compare`.
    """
    board = {row.loss: row for row in rows if row.decisive}
    verdict.headline = " ".join([_first(verdict, board), *_second(verdict, board, list(unconverged))])
    verdict.detail = " ".join(_detail(verdict, board, settings))


def _first(verdict: Verdict, board: Mapping[str, Standing]) -> str:
    """What to train with, or what would settle it."""
    leader = verdict.leader
    if leader is None:
        if not board:
            return "There is no loss to compare."
        if all(row.verdict == "no value" for row in board.values()):
            return "Nothing can be compared: the test set has nothing to score."
        if all(row.mean is None for row in board.values()):
            return "Every run diverged: there is nothing to compare."
        return "No loss can be chosen: each of them diverged in a run; a lower train.optimizer.lr may help."
    if not verdict.against:
        what = "the only loss of the grid" if len(board) == 1 else "the only loss of which no run diverged"
        score = f"test {METRIC.title} {METRIC.text(board[leader].mean)}"
        return f"{leader} is {what}, with {score}: there is nothing to compare it with."
    if verdict.verdict == "best":
        rival, pair = min(verdict.against.items(), key=lambda item: item[1].points or 0.0)
        points = max(0.1, pair.points or 0.0)
        return f"Train with {leader}: it is the best of these losses, {points:.1f} {METRIC.title} points above {rival}."
    others = verdict.contenders[1:]
    if verdict.verdict == "good enough":
        regret = verdict.regret or 0.0
        cost = f"about {regret:.1f}" if regret >= 0.05 else "less than 0.1"
        return (
            f"Train with {leader}, which is good enough: {_what_may_be_better(verdict)}, but choosing {leader} is "
            f"expected to cost {cost} {METRIC.title} points."
        )
    racing = [loss for loss in others if loss not in verdict.waiting]
    if len(racing) == 1:
        points = verdict.against[racing[0]].points or 0.0
        apart = (
            f"{leader} is {points:.1f} {METRIC.title} points ahead" if points >= 0.05 else "less than 0.1 points apart"
        )
        between = f"It is open between {leader} and {racing[0]} ({apart})"
    else:
        between = f"It is open between {names([leader, *racing], 'and')}; {leader} comes first"
    return f"{between}. {_what_would_settle(verdict, board)}."


def _what_may_be_better(verdict: Verdict) -> str:
    """The contenders whose chance can be told from none, or all of them."""
    others = verdict.contenders[1:]
    likely = [loss for loss in others if chance(verdict.chances.get(loss, 0.0)) != LITTLE]
    if len(likely) == 1:
        return f"{likely[0]} may be better (a chance of {chance(verdict.chances[likely[0]])})"
    each = likely or others
    return f"{names(each, 'or') if len(each) <= MOST_NAMES else f'any of {len(each)} others'} may be better"


def _second(verdict: Verdict, board: Mapping[str, Standing], unconverged: Sequence[str]) -> list[str]:
    """What is not in question, what is clearly worse, and what failed."""
    # The others may come from behind if they are trained for longer.
    spared = [loss for loss in verdict.waiting if loss not in unconverged]
    parts = [f"safe to leave out: {names(spared, 'and')}"] if spared else []
    worse = [loss for loss in verdict.worse if loss not in verdict.contenders]
    if worse and verdict.leader:
        parts.append(f"clearly worse: {names(worse, 'and')}")
    diverged = [loss for loss, row in board.items() if row.verdict in ("diverged", "unreliable")]
    if diverged:
        parts.append(f"diverged: {names(diverged, 'and')}")
    if unconverged:
        parts.append(f"not trained long enough: {names(unconverged, 'and')}")
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."] if parts else []


def _what_would_settle(verdict: Verdict, board: Mapping[str, Standing]) -> str:
    have = [board[loss].seeds for loss in verdict.contenders]
    if verdict.forecast_seeds:
        return f"About {verdict.forecast_seeds} seeds in all would settle it (now {max(have)}; type `losslab decide`)"
    if min(have) < 2:
        return "One seed cannot settle it; add to train.seeds"
    return "More seeds alone would hardly settle it, but more test images may"


def _detail(verdict: Verdict, board: Mapping[str, Standing], settings: Compare) -> Iterable[str]:
    leader = verdict.leader
    if leader is None:
        return
    row = board[leader]
    interval = f"{100 * settings.confidence:.3g} % interval {METRIC.text(row.low)} to {METRIC.text(row.high)}"
    seeds = "one seed" if row.seeds == 1 else f"{row.seeds} seeds"
    yield f"{leader} has test {METRIC.title} {METRIC.text(row.mean)} over {seeds} ({interval})."
    always: dict[int, list[str]] = {}
    for loss, pair in verdict.against.items():
        if pair.won and not pair.lost:
            always.setdefault(pair.won, []).append(loss)
    for count, losses in always.items():
        yield f"It beat {names(losses, 'and')} in {count} of {count} seeds."
    for rival in verdict.contenders[1:2]:
        pair = verdict.against[rival]
        if pair.lost and (pair.points or 0.0) >= 0.05:
            seeds = f"{pair.won} of {pair.won + pair.lost} seeds"
            yield f"It is {pair.points:.1f} points ahead of {rival}, which comes next, and beat it in {seeds}."
    if leader in verdict.chances:
        yield f"The chance that it is the best is {chance(verdict.chances[leader])}."


def chance(value: float) -> str:
    """A chance to be best in words that claim no more than simulations bear out."""
    if value >= SUREST:
        return f"over {100 * SUREST:.0f} %"
    return LITTLE if value <= 1 - SUREST + 1e-9 else f"{100 * value:.0f} %"


def names(losses: Sequence[str], joint: str) -> str:
    """Some losses in a row of words."""
    shown, more = losses[:MOST_NAMES], len(losses) - MOST_NAMES
    words = [*shown, f"{more} more"] if more > 0 else [*shown]
    return f"{', '.join(words[:-1])} {joint} {words[-1]}" if len(words) > 1 else words[0]
