"""The chosen extra metrics of a batch."""

from collections.abc import Iterable
from importlib import import_module

from torch import Tensor

from losslab.errors import InputError, did_you_mean
from losslab.evaluation.aggregates import Floats
from losslab.evaluation.extra import KINDS
from losslab.evaluation.extra.known import known


def measure(
    names: Iterable[str], predicted: Tensor, target: Tensor, probabilities: Tensor | None = None
) -> dict[str, Floats]:
    """What the metrics called `names` are made of, per rule that made decisions, image and class.

    Args:
        names: keys of `KINDS`.
        predicted: boolean `[R, N, C, H, W]`; what is asked of the truth alone is asked once for all R.
        target: of 0, 1 and 255, or boolean, `[N, C, H, W]`.
        probabilities: in [0, 1], `[N, C, H, W]`; only `calibration` needs them.

    Returns:
        By name float64 `[R, N, C, K]`, in the order of `results.scores.EXTRAS`.

    Raises:
        InputError: there is no metric of that name, or it needs probabilities.
    """
    names = list(names)
    planes = known(predicted, target, probabilities) if names else None
    measured = {}
    for name in names:
        if name not in KINDS:
            raise InputError(f"no metric {name!r}; {did_you_mean(name, KINDS)}")
        module, function = KINDS[name].split(":")
        values = getattr(import_module(f"losslab.evaluation.extra.{module}"), function)(planes)
        measured[name] = values.reshape(*predicted.shape[:3], -1)
    return measured
