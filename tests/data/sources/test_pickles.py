"""Pickles from anywhere take no more memory than their length calls for."""

import gzip
import pickle
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from losslab.data import purdue_shapes
from losslab.data.particular.cifar_colour import read_batch
from losslab.data.purdue_shapes import read_file
from losslab.errors import InputError

GIB = 1 << 30


@pytest.fixture
def little_memory() -> Iterator[None]:
    """A process that can have 1 GiB more than it has."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + GIB, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def number(value: int, width: int) -> bytes:
    return value.to_bytes(width, "little")


BOMBS = {
    "a place in the memo": b"\x80\x02]r" + number(2**28, 4) + b".",
    "a place in the memo, as text": b"]p" + b"%d" % 2**28 + b"\n.",
    "bytes": b"\x80\x04\x8e" + number(8 * GIB, 8) + b".",
    "an array of bytes": b"\x80\x05\x96" + number(8 * GIB, 8) + b".",
    "a frame": b"\x80\x04\x95" + number(8 * GIB, 8) + b".",
    "an array made": b"\x80\x02cnumpy\nndarray\nJ" + number(2**30, 4) + b"\x85R.",
    "an array remade": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nJ"
    + number(2**30, 4)
    + b"\x85U\x01b\x87R.",
    "lists of lists": b"\x80\x02(" + b"]" * 20_000_000 + b"l.",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.usefixtures("little_memory")
def test_a_bomb_is_one_line_and_takes_little_memory(tmp_path: Path, bomb: bytes) -> None:
    (tmp_path / "batch").write_bytes(bomb)
    (tmp_path / "shapes.gz").write_bytes(gzip.compress(bomb, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read, name in ((read_file, "shapes.gz"), (read_batch, "batch")):
        if read is read_batch and len(bomb) > 1000:
            continue
        with pytest.raises(InputError, match=r"(refused|damaged.*)$") as caught:
            read(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIB >> 10


def test_the_memory_for_a_pickle_is_in_proportion_to_its_length(tmp_path: Path) -> None:
    path = tmp_path / "shapes.gz"
    path.write_bytes(gzip.compress(BOMBS["a place in the memo"]))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(InputError, match=r"shapes\.gz: takes more than 64 MiB of memory: refused$"):
        read_file(path)
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_a_gzip_that_unpacks_to_too_much_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purdue_shapes, "MAX_FILE", 1 << 24)
    path = tmp_path / "shapes.gz"
    path.write_bytes(gzip.compress(bytes((1 << 24) + 1), 1))
    with pytest.raises(InputError, match=r"shapes\.gz: would unpack to more than 16 MiB: refused$"):
        read_file(path)


def test_a_large_file_that_is_right_is_read(tmp_path: Path) -> None:
    record = [[1] * 4096, [2] * 4096, [3] * 4096, np.full((5, 64, 64), 50, np.uint8), None]
    path = tmp_path / "shapes.gz"
    for protocol in (3, 4):
        content = pickle.dumps(({index: [*map(list, record[:3]), *record[3:]] for index in range(100)}, {}), protocol)
        path.write_bytes(gzip.compress(content, 1))
        images, masks = read_file(path)
        assert (images[:, :, 0, 0] == [1, 2, 3]).all()
        assert masks.all()
