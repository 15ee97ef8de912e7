"""Several data sets or networks: what their verdicts say together."""

from collections.abc import Mapping, Sequence

import numpy as np

from losslab.comparison import chances
from losslab.comparison.headline import chance, names
from losslab.results.standings import Standing, Verdict

FEWEST = 3
"""Data sets or networks from which the model can learn how much they differ in what suits them."""


def sentence(verdicts: Mapping[str, Verdict], rows: Sequence[Standing], seed: int = 0) -> str:
    """On how many each loss is best, and how likely it is the best on average over others like them.

    The model is that of seeds, with data sets or networks in their place: score = loss + data set + residual.

    Args:
        verdicts: by the name of the data set or network, or of both.
        rows: their leaderboards.
        seed: of the random numbers.
    """
    text = counted(verdicts)
    names_of = {(verdict.dataset, verdict.network): name for name, verdict in verdicts.items()}
    means: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.decisive and row.mean is not None and row.verdict != "unreliable":
            means.setdefault(row.loss, {})[names_of[row.dataset, row.network]] = row.mean
    whole = {
        loss: [by_name[name] for name in verdicts] for loss, by_name in means.items() if len(by_name) == len(verdicts)
    }
    if len(verdicts) < FEWEST or len(whole) < 2:
        return text
    likely = dict(zip(whole, chances.best(chances.draws(np.array(list(whole.values())), 2000, seed)), strict=True))
    first = max(likely, key=lambda loss: (likely[loss], np.mean(whole[loss])))
    return f"{text} The chance that {first} is the best on average over others like these is {chance(likely[first])}."


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
