"""Several data sets or networks: what their verdicts say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from losslab.comparison import chances
from losslab.comparison.headline import chance, names
from losslab.results.standings import Standing, Verdict

FEWEST = 3
"""Data sets or networks from which the model can learn how much they differ in what suits them."""
FEWEST_TO_RANK = 6
"""With fewer, ranks can hardly tell any two losses apart."""


@dataclass(frozen=True)
class Ranks:
    """Which place each loss has on average over data sets or networks, and by how much two must differ."""

    means: dict[str, float]
    """Mean rank by loss, from 1, best first; equals share their places."""
    critical: float
    """The critical difference of Nemenyi's test: 5 % of equal losses differ by more, if confidence is 0.95."""
    number: int
    """Of data sets or networks."""

    @property
    def sentence(self) -> str:
        """What the ranks say."""
        first, *others = self.means
        worse = [loss for loss in others if self.means[loss] - self.means[first] > self.critical]
        behind = f"worse by rank: {names(worse, 'and')}" if worse else "none is worse by rank"
        return (
            f"By mean rank over {self.number}, {first} comes first ({self.means[first]:.1f} of {len(self.means)}); "
            f"{behind} (critical difference {self.critical:.1f})."
        )


def ranks(verdicts: Mapping[str, Verdict], rows: Sequence[Standing], confidence: float) -> Ranks | None:
    """Mean ranks and Nemenyi's critical difference of the losses that have a score on every data set with every
    network; nothing with fewer than six of those, or with one loss.

    Reference: Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
    """
    scores = _whole(verdicts, rows)
    if len(verdicts) < FEWEST_TO_RANK or len(scores) < 2:
        return None
    from scipy.stats import rankdata, studentized_range  # a second to import, and seldom needed

    means = rankdata(-np.array(list(scores.values())), axis=0).mean(1).tolist()
    by_rank = dict(sorted(zip(scores, means, strict=True), key=lambda pair: pair[1]))
    number, losses = len(verdicts), len(scores)
    quantile = float(studentized_range.ppf(confidence, losses, np.inf))
    return Ranks(by_rank, quantile * (losses * (losses + 1) / (12 * number)) ** 0.5, number)


def sentence(verdicts: Mapping[str, Verdict], rows: Sequence[Standing], seed: int = 0) -> str:
    """On how many each loss is best, and how likely it is the best on average over others like them.

    The model is that of seeds, with data sets or networks in their place: score = loss + data set + residual.

    Args:
        verdicts: by the name of the data set or network, or of both.
        rows: their leaderboards.
        seed: of the random numbers.
    """
    text = counted(verdicts)
    whole = _whole(verdicts, rows)
    if len(verdicts) < FEWEST or len(whole) < 2:
        return text
    likely = dict(zip(whole, chances.best(chances.draws(np.array(list(whole.values())), 2000, seed)), strict=True))
    first = max(likely, key=lambda loss: (likely[loss], np.mean(whole[loss])))
    return f"{text} The chance that {first} is the best on average over others like these is {chance(likely[first])}."


def _whole(verdicts: Mapping[str, Verdict], rows: Sequence[Standing]) -> dict[str, list[float]]:
    """The scores of each loss that has one on all of them."""
    names_of = {(verdict.dataset, verdict.network): name for name, verdict in verdicts.items()}
    means: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.decisive and row.mean is not None and row.verdict != "unreliable":
            means.setdefault(row.loss, {})[names_of[row.dataset, row.network]] = row.mean
    return {
        loss: [by_name[name] for name in verdicts] for loss, by_name in means.items() if len(by_name) == len(verdicts)
    }


def counted(verdicts: Mapping[str, Verdict]) -> str:
    """On how many of them each verdict was reached."""
    groups: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        decided = verdict.leader is not None and verdict.verdict != "undecided"
        groups.setdefault(f"{verdict.leader} is {verdict.verdict}" if decided else "it is open", []).append(name)
    # Best before good enough before open, each from many to few.
    order = sorted(groups, key=lambda text: (text == "it is open", "is best" not in text, -len(groups[text])))
    text = "; ".join(
        f"{what} on {len(groups[what])} of {len(verdicts)} ({names(groups[what], 'and')})" for what in order
    )
    return f"{text[0].upper()}{text[1:]}." if order[0] == "it is open" else f"{text}."
