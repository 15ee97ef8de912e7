"""What tests of comparisons share: three losses that have been scored."""

from pathlib import Path

import pytest
from scored_losses import LOSSES, simulated, write


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three losses, scored in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    for loss in LOSSES:
        write(loss, simulated(loss))
