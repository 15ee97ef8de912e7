"""Tables and masks that are garbage are named in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from losslab.errors import InputError
from losslab.results import history, predictions, scores, standings

SCORES = ",".join((*scores.INDEX, *scores.COUNTS)) + "\n"
HISTORY = ",".join(history.Row._fields) + "\n"
READERS: dict[str, Callable[[Path], Any]] = {
    "scores": scores.read,
    "history": history.read,
    "leaderboard": standings.read,
    "predictions": lambda path: predictions.read(path, 8),
}


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        ("scores", b"\0" * 10),
        ("scores", SCORES + "1,2\n"),
        ("scores", SCORES + "x,a,b,fixed,1,1,1,1\nx,a,b,tuned,1,1,1,1\n"),
        ("scores", SCORES + f"0,a,b,fixed,{'9' * 30},1,1,1\n0,a,b,tuned,1,1,1,1\n"),
        ("scores", SCORES + "a" * 200_000),
        ("scores", SCORES.encode() + b"\xff"),
        ("history", b"seed,epoch\n1,2\n"),
        ("history", HISTORY + "1,1\n"),
        ("history", HISTORY + '"'),
        ("history", HISTORY + "9" * 5000 + ",1,1,train,loss,1\n"),
        ("history", HISTORY + "a" * 200_000),
        ("history", HISTORY.encode() + b"\xff"),
        ("leaderboard", b"\xff"),
        ("leaderboard", b"[" * 10**5),
        ("leaderboard", b"{}"),
        ("leaderboard", b"[1]"),
        (
            "leaderboard",
            b'[{"dataset": "d", "network": "n", "loss": "l", "metric": "m", "threshold": "t", "mean": "high"}]',
        ),
        ("predictions", b"noise"),
        ("predictions", save({"images": np.zeros(1, np.uint8)})),
        ("predictions", save({"masks": np.zeros((1, 1, 8, 1), np.float32)})),
    ],
    ids=range(20),
)
def test_garbage_is_one_line(reader: str, content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        READERS[reader](path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
