"""The confusion table comes back as it was; damage is named."""

from pathlib import Path

import numpy as np
import pytest

from losslab.errors import InputError
from losslab.results import scores


def test_the_table_comes_back_as_it_was(tmp_path: Path) -> None:
    pairs = {seed: np.arange(9).reshape(3, 3) + seed for seed in (0, 4)}
    path = tmp_path / "confusion.csv"
    scores.write_confusion(path, ("sky", "road, paved", "car"), pairs)
    text = path.read_text(encoding="utf-8")
    assert text.startswith('seed,true,predicted,pixels\n0,sky,sky,0\n0,sky,"road, paved",1\n')
    classes, tables = scores.read_confusion(path)
    assert classes == ("sky", "road, paved", "car")
    for seed, table in pairs.items():
        np.testing.assert_array_equal(tables[seed], table)
    path.write_text(text.rpartition("4,car")[0], encoding="utf-8")
    with pytest.raises(InputError, match=r"confusion\.csv: damaged"):
        scores.read_confusion(path)


def test_a_table_without_seeds_is_empty(tmp_path: Path) -> None:
    scores.write_confusion(tmp_path / "c.csv", ("a", "b"), {})
    assert scores.read_confusion(tmp_path / "c.csv") == ((), {})
