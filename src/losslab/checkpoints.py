"""Training state on disk, so that a killed run goes on where it was and a finished one is not repeated.

Lies in `checkpoints/<run key>/`, outside DVC's outputs. The key covers everything that the result depends on.
"""

import pickle
from pathlib import Path
from typing import Any

import torch

from losslab.files import atomic_file

ROOT = Path("checkpoints")


def save(key: str, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint by `state`: nested dicts and lists of tensors, numbers and strings."""
    with atomic_file(ROOT / f"{key}.pt") as temporary:
        torch.save(state, temporary)


def load(key: str) -> dict[str, Any] | None:
    """The run's checkpoint, or none if there is none or it cannot be read (the run then starts afresh)."""
    try:
        # weights_only: tensors and plain values, no code.
        state: dict[str, Any] = torch.load(ROOT / f"{key}.pt", map_location="cpu", weights_only=True)
    except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return state
