"""What a fetch selected is kept for the extraction."""

from pathlib import Path

import pytest

from losslab.data.mask_files.pairs import Pair, Pairs, PairSplit
from losslab.data.splits import read_selection, write_selection
from losslab.errors import InputError


def test_a_selection_is_read_as_it_was_written_and_damage_is_named(tmp_path: Path) -> None:
    pairs = Pairs(2, 1, {"train": PairSplit("all", [Pair("a.jpg", "a.png")], {"no_mask": 1})})
    with pytest.raises(InputError, match=r"selection\.json: not found; run `dvc repro`"):
        read_selection(tmp_path, Pairs)
    write_selection(tmp_path, pairs)
    assert read_selection(tmp_path, Pairs) == pairs
    path = tmp_path / "selection.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"selection\.json: damaged"):
        read_selection(tmp_path, Pairs)
