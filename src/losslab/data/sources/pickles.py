"""Pickles as data. A pickle is a program: this reader lets it make NumPy arrays of numbers and nothing else."""

import pickle
import pickletools
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from losslab.errors import InputError

LEAST_MEMORY, MOST_MEMORY = 1 << 26, 5 << 29  # bytes
GROWTH = 8  # a number of two bytes in the file is eight in a list, and lists grow by copying
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}


def load(file: BinaryIO | GzipFile, length: int) -> Any:
    """The content of a pickle of `length` bytes, of any protocol and of either Python.

    Raises:
        InputError: it asks for something else than arrays of numbers, or for memory out of proportion to its length.
        Exception: it is damaged; a damaged pickle can raise anything.
    """
    memory = min(LEAST_MEMORY + GROWTH * length, MOST_MEMORY)
    try:
        with _at_most(memory):
            return _Unpickler(file, encoding="latin1").load()
    except MemoryError:
        raise InputError(f"takes more than {memory >> 20} MiB of memory: refused") from None


@contextmanager
def _at_most(memory: int) -> Iterator[None]:
    """This process can take so many bytes more and no others, where the system can say and limit what it has."""
    statistics = Path("/proc/self/statm")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = soft
    if statistics.exists():
        taken = int(statistics.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        most = min((bound for bound in (soft, hard, taken + memory) if bound != resource.RLIM_INFINITY), default=soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check_size(content: bytes) -> None:
    """Refuse a pickle that has Python reserve memory out of proportion to its length.

    Raises:
        InputError: it does.
        Exception: it is damaged.
    """
    for opcode, argument, _ in pickletools.genops(content):
        # Python reserves a place for every number up to this one.
        if opcode.name in PUTS and int(argument or 0) > len(content):
            raise InputError(f"asks for {argument} places in memory, far more than it can fill: refused")


class _Array:
    """Stands for `numpy.ndarray` in a pickle: to be named, never called, as a call could ask for any size."""


def _reconstruct(kind: Any, shape: Any, _: Any) -> Any:
    """The empty array that NumPy's pickles begin with; its content follows, and NumPy compares it with its shape."""
    if kind is not _Array or shape != (0,):
        raise InputError("makes an array in a way that no data file needs: refused")
    return np._core.multiarray._reconstruct(np.ndarray, (0,), b"b")  # type: ignore[attr-defined]


def _dtype(name: Any, *_: Any) -> Any:
    if isinstance(name, bytes):
        name = name.decode("latin1")
    if not isinstance(name, str) or not re.fullmatch(r"[|<>=]?[biuf][1248]", name):
        raise InputError(f"has an array of {name!r}, which are no numbers: refused")
    return np.dtype(name, copy=True)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in {"numpy.core.multiarray", "numpy._core.multiarray"} and name == "_reconstruct":
            return _reconstruct
        if module == "numpy" and name == "ndarray":
            return _Array
        if module == "numpy" and name == "dtype":
            return _dtype
        raise InputError(f"asks for {module}.{name}, which no data file needs: refused")
