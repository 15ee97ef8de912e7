"""Training state on disk, so that a killed run goes on where it was and a finished one is not repeated.

Lies in `checkpoints/<run key>.pt`, outside DVC's outputs. The key covers everything that the result depends on.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from losslab.results.files import atomic_file

T = TypeVar("T")

ROOT = Path("checkpoints")


def save(key: str, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint by `state`: nested dicts and lists of tensors, numbers and strings."""
    buffer = io.BytesIO()  # torch's own writer says nothing of a full disk that a user could read
    torch.save(state, buffer)
    with atomic_file(ROOT / f"{key}.pt") as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(key: str, build: Callable[[dict[str, Any]], T]) -> T | None:
    """What `build` makes of the run's checkpoint; none if there is none or it is damaged (the run then starts afresh).

    Args:
        key: of the run.
        build: may raise whatever it likes: the state is then not what a run saves.
    """
    path = ROOT / f"{key}.pt"
    try:
        # weights_only: tensors and plain values, no code.
        return build(dict(torch.load(path, map_location="cpu", weights_only=True)))
    except FileNotFoundError:
        return None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged file can raise anything
        tqdm.write(f"warning: {path}: damaged ({type(error).__name__}); this run starts afresh")
        return None
