"""What the tests of data share: a working directory that is empty, and a server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coco_world import Server, serve


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as world:
        yield world
