"""What one loss is trained with in place of what all are: the key `train` of a loss in params.yaml.

    losses:
      dice:
        kind: dice
        train: {lr: 0.01}

Losses differ in the size of their gradients, so one learning rate may suit some of them only. What such a comparison
compares are recipes, which the report says.
"""

from collections.abc import Mapping
from typing import Any

from losslab.errors import InputError
from losslab.settings.params import SGD, Params, Train
from losslab.settings.schema import Count, NonNegative, Positive, Section


class Overrides(Section):
    """Settings of `train` that a loss may have for itself; null: those of all."""

    lr: Positive | None = None
    momentum: NonNegative | None = None
    weight_decay: NonNegative | None = None
    epochs: Count | None = None


def train_of(settings: Params, loss: str) -> Train:
    """`train` of params.yaml as a loss has it.

    Raises:
        InputError: it sets the momentum of an optimiser that has none.
    """
    train, own = settings.train, own_settings(settings.losses[loss])
    if "momentum" in own and not isinstance(train.optimizer, SGD):
        raise InputError(f"params.yaml: losses.{loss}.train.momentum: train.optimizer has none; remove it, or take sgd")
    optimizer = train.optimizer.model_copy(update={key: own[key] for key in own if key != "epochs"})
    return train.model_copy(update={"optimizer": optimizer, "epochs": own.get("epochs", train.epochs)})


def own_settings(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a loss sets for itself: lr, momentum, weight_decay, epochs, as far as it does."""
    return {key: value for key, value in (spec.get("train") or {}).items() if value is not None}


def shown(settings: Params) -> dict[str, str]:
    """Loss of the grid → what it sets for itself, in words; those that set nothing are not in it."""
    own = {loss: own_settings(settings.losses[loss]) for loss in settings.grid.losses}
    return {loss: ", ".join(f"{key} {value:g}" for key, value in its.items()) for loss, its in own.items() if its}


def of_recipes(settings: Params) -> str:
    """A sentence that says which losses of the grid were trained otherwise than the rest; empty if none was."""
    own = shown(settings)
    if not own:
        return ""
    all_others = {**settings.train.optimizer.model_dump(), "epochs": settings.train.epochs}
    keys = {key for loss in own for key in own_settings(settings.losses[loss])}
    rest = ", ".join(f"{key} {all_others[key]:g}" for key in Overrides.model_fields if key in keys)
    parts = "; ".join(f"{loss} with {words}" for loss, words in own.items())
    return f"Trained otherwise than the rest ({rest}): {parts}. With these it is recipes that are compared."
