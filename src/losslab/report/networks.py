"""Whether the order of the losses depends on the network: what one data set's networks say side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from losslab.results.standings import Standing


def overview(boards: Mapping[str, Sequence[Standing]]) -> dict[str, Any] | None:
    """A table losses × networks and a sentence on it; none for a single network.

    Args:
        boards: network → tuned mIoU of every loss, best first.
    """
    if len(boards) < 2:
        return None
    cells = {(row.loss, network): row for network, rows in boards.items() for row in rows}
    losses = [row.loss for row in next(iter(boards.values()))]
    return {"losses": losses, "networks": list(boards), "cells": cells, "sentence": sentence(boards)}


def sentence(boards: Mapping[str, Sequence[Standing]]) -> str:
    """Whether the losses come in the same order with each network, by mean test mIoU."""
    orders = {network: [row.loss for row in rows if row.mean is not None] for network, rows in boards.items()}
    networks = ", ".join(orders)
    if any(len(order) < 2 for order in orders.values()):
        return f"There is no order of losses to compare between {networks}: it takes two losses that gave a model."
    first, *others = orders.values()
    if all(order == first for order in others):
        return f"The order of the losses is the same with each of {networks}: {', '.join(first)}."
    leaders = {network: order[0] for network, order in orders.items()}
    if len(set(leaders.values())) == 1:
        return (
            f"{first[0]} comes first with each of {networks}; behind it the order of the losses depends on the network."
        )
    named = ", ".join(f"{loss} with {network}" for network, loss in leaders.items())
    return f"The order of the losses depends on the network: first come {named}."
