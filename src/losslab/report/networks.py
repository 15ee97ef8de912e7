"""Whether the order of the losses depends on the network: what one data set's networks say side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from losslab.results.standings import Standing

Boards = Mapping[str, Sequence[Standing]]
"""Network → the row that ranks each loss, best first, losses without a model last."""


@dataclass(frozen=True)
class Overview:
    """A table losses × networks, and what it says in words."""

    sentence: str
    detail: str
    losses: list[str]
    """The best on average over the networks first, losses without a model with one of them last."""
    networks: list[str]
    cells: dict[tuple[str, str], tuple[int, Standing]]
    """(loss, network) → its place among the losses with a model, from 1, and its row; nothing without a model."""


def overview(boards: Boards) -> Overview | None:
    """What several networks say of the losses; none for a single network."""
    if len(boards) < 2:
        return None
    cells = {
        (row.loss, network): (place, row)
        for network, rows in boards.items()
        for place, row in enumerate((row for row in rows if row.mean is not None), start=1)
    }
    means = {key: row.mean or 0.0 for key, (_, row) in cells.items()}
    by_loss = {row.loss: [means.get((row.loss, network)) for network in boards] for row in next(iter(boards.values()))}
    shared = {loss: [m for m in values if m is not None] for loss, values in by_loss.items() if None not in values}
    whole = sorted(shared, key=lambda loss: -sum(shared[loss]))
    partly = [loss for loss in by_loss if loss not in shared]
    leaders = {network: rows[0].loss for network, rows in boards.items() if rows and rows[0].mean is not None}
    if len(by_loss) == 1 and shared:
        [loss] = shared
        ranked = sorted(boards, key=lambda network: -means[loss, network])
        sentence = f"{loss} scores {_and(f'{means[loss, network]:.3f} with {network}' for network in ranked)}."
    else:
        sentence = _sentence(list(boards), leaders, {loss: shared[loss] for loss in whole})
    detail = [f"{loss} gave no model with {_and(_without(by_loss[loss], boards))}." for loss in partly]
    return Overview(sentence, " ".join(detail), whole + partly, list(boards), cells)


def _sentence(networks: Sequence[str], leaders: Mapping[str, str], means: Mapping[str, Sequence[float]]) -> str:
    """Args:
    leaders: network → the loss that comes first with it.
    means: loss → its score with each network, of losses that have one with each; best on average first.
    """
    pairs = list(combinations(means.values(), 2))
    swapped = sum(_changes(one, other) for one, other in pairs)
    best = sorted(set(leaders.values()), key=list(leaders.values()).index)
    if len(best) > 1 and (swapped or not means.keys() >= set(best)):
        by_loss = [f"{loss} with {_and(n for n in leaders if leaders[n] == loss)}" for loss in best]
        return f"The best loss depends on the network: {'; '.join(by_loss)}."
    if len(means) < 2:
        return f"No order of the losses can be compared: fewer than two gave a model with each of {_and(networks)}."
    if swapped:
        count = f"{swapped} of {len(pairs)} pairs of losses change{'s' if swapped == 1 else ''} places"
        return f"{best[0]} comes first with each of {_and(networks)}, but behind it {count} between networks."
    return f"The order of the losses is the same with each of {_and(networks)}: {', '.join(means)}."


def _changes(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one of two losses is ahead with one network and behind with another."""
    gaps = [a - b for a, b in zip(one, other, strict=True)]
    return min(gaps) < 0 < max(gaps)


def _without(values: Sequence[float | None], networks: Iterable[str]) -> list[str]:
    return [network for network, value in zip(networks, values, strict=True) if value is None]


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
