"""A checkpoint that cannot be trusted costs a warning and a fresh start, and runs no code."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from losslab.results import checkpoints
from losslab.training import seeds
from losslab.training.loop import Progress


class Exploit:
    """Unpickled, it would make a folder."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


def saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def inflated() -> bytes:
    """A checkpoint whose tensor is 300 MB of zeros, deflated to less than one."""
    source, buffer = zipfile.ZipFile(io.BytesIO(saved({"weight": torch.zeros(9)}))), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, bytes(300_000_000) if name.endswith("data/0") else source.read(name))
    return buffer.getvalue()


GOOD = saved({"epoch": 3, "rows": []})
BAD = {
    "empty": b"",
    "noise": b"noise",
    "cut short": GOOD[:-5],
    "no end": GOOD[:300],
    "a pickle that runs code": pickle.dumps(Exploit()),
    "a checkpoint that runs code": saved({"epoch": Exploit()}),
    "not a mapping": saved([1]),
    "inflated": inflated(),
    "without its history": saved({"epoch": 3}),
    "another's": saved({"epoch": 3, "rows": [], "colour": 1}),
    "rows of another shape": saved({"epoch": 3, "rows": [1]}),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_checkpoint_is_a_warning_and_a_fresh_start(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    Path("checkpoints/key.pt").write_bytes(BAD[what])
    assert seeds.restore("key") == Progress()
    assert capsys.readouterr().out.startswith("warning: checkpoints/key.pt: damaged")
    assert not Path("owned").exists()
    checkpoints.save("key", {"epoch": 1, "rows": []})
    assert seeds.restore("key").epoch == 1


def test_no_checkpoint_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert seeds.restore("key") == Progress()
    assert capsys.readouterr().out == ""
