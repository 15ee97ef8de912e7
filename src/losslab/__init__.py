"""losslab: train one segmentation network with many losses and say, with numbers, which is best.

In a training script of one's own: `from losslab import losses, metrics, networks`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`losslab.metrics`, which lives in a room of its own; imported when it is asked for."""
    if name == "metrics":
        return import_module("losslab.evaluation.scoring")
    raise AttributeError(f"module 'losslab' has no attribute '{name}'")
