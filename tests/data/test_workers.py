"""Work is spread over processes where that can be done, and done all the same where it cannot."""

from math import sqrt
from multiprocessing import synchronize

import pytest

from losslab.data.workers import Workers

NUMBERS = [float(n) for n in range(40)]


def test_without_shared_memory_one_process_does_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")  # as where /dev/shm cannot be written

    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", nowhere)
    with Workers(sqrt, 2, len(NUMBERS)) as workers:
        assert list(workers.map(NUMBERS)) == [sqrt(n) for n in NUMBERS]
    warning = "warning: one process in place of 2: no shared memory here (Read-only file system)"
    assert warning in capsys.readouterr().out
