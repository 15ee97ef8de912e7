"""Whether the best loss depends on the network: what one data set's networks say side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from losslab.comparison import overall
from losslab.results.standings import Standing, Verdict

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


def overview(boards: Boards, verdicts: Mapping[str, Verdict]) -> Overview | None:
    """What several networks say of the losses, by the verdict with each; none for a single network."""
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
    if len(by_loss) == 1 and shared:
        [loss] = shared
        ranked = sorted(boards, key=lambda network: -means[loss, network])
        sentence = f"{loss} scores {_and(f'{means[loss, network]:.3f} with {network}' for network in ranked)}."
    else:
        sentence = overall.sentence(verdicts, [row for rows in boards.values() for row in rows])
    detail = [f"{loss} gave no model with {_and(_without(by_loss[loss], boards))}." for loss in partly]
    return Overview(sentence, " ".join(detail), whole + partly, list(boards), cells)


def _without(values: Sequence[float | None], networks: Iterable[str]) -> list[str]:
    return [network for network, value in zip(networks, values, strict=True) if value is None]


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
