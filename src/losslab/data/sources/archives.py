"""Files by name from a folder, a zip or a tar (plain or compressed), each the same way.

An archive comes from anywhere: nothing leaves it under a name that could land outside, and nothing larger than a
bound is unpacked.
"""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from losslab.errors import InputError

MAX_FILE = 1 << 28  # bytes of one file
MAX_ALL = 1 << 38  # bytes that an archive unpacks to
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a compression that this Python has not
)


class Files(ABC):
    """The files of a folder or an archive; `location` is what to call it."""

    def __init__(self, path: Path, location: str) -> None:
        self.path, self.location = path, location

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the files, relative, with `/`, sorted; hidden ones are left out."""

    @abstractmethod
    def copy(self, targets: Mapping[str, Path]) -> set[str]:
        """Copy the files so named to their paths, whose folders are made; the names that are not there.

        Raises:
            InputError: the archive is damaged, or a file in it is larger than `MAX_FILE`.
        """


def open_files(path: Path, location: str) -> Files:
    """The files of a folder, a zip or a tar.

    Raises:
        InputError: there is nothing at `path`, or it is none of these.
    """
    if path.is_dir():
        return _Folder(path, location)
    if not path.is_file():
        raise InputError(f"{location}: not found")
    if zipfile.is_zipfile(path):
        return _Zip(path, location)
    try:
        if tarfile.is_tarfile(path):
            return _Tar(path, location)
    except BROKEN as error:
        raise InputError(f"{location}: damaged: {error}") from None
    raise InputError(f"{location}: neither a folder nor a whole zip or tar archive")


def safe_name(name: str) -> bool:
    """Whether a relative file name stays inside its folder, on any system."""
    path = PurePosixPath(name)
    return (
        bool(path.name)
        and ".." not in path.parts
        and not path.is_absolute()
        and not any(sign in name for sign in "\\:\0")
        and name.isprintable()
    )


class _Folder(Files):
    def names(self) -> list[str]:
        paths = (path for path in self.path.rglob("*") if path.is_file())
        return _visible(path.relative_to(self.path).as_posix() for path in paths)

    def copy(self, targets: Mapping[str, Path]) -> set[str]:
        missing = set()
        for name, target in targets.items():
            if (self.path / name).is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                # A copy, not a link: DVC makes files read-only when it takes them over, and these are the user's.
                shutil.copyfile(self.path / name, target)
            else:
                missing.add(name)
        return missing


class _Zip(Files):
    def names(self) -> list[str]:
        with self._open() as archive:
            return _visible(_checked(info.filename, self.location) for info in archive.infolist() if not info.is_dir())

    def copy(self, targets: Mapping[str, Path]) -> set[str]:
        with self._open() as archive:
            present = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            for name in targets.keys() & present.keys():
                _check_size(present[name].file_size, name, self.location)
                with archive.open(name) as source:
                    _write(source, targets[name])
        return targets.keys() - present.keys()

    @contextmanager
    def _open(self) -> Iterator[zipfile.ZipFile]:
        with _naming(self.location), zipfile.ZipFile(self.path) as archive:
            yield archive


class _Tar(Files):
    def names(self) -> list[str]:
        with self._open() as archive:
            return _visible(member.name for member in self._members(archive))

    def copy(self, targets: Mapping[str, Path]) -> set[str]:
        missing = set(targets)
        with self._open() as archive:
            # In the archive's order: going back in a compressed one means to unpack it from its beginning.
            for member in self._members(archive):
                if member.name in missing:
                    _check_size(member.size, member.name, self.location)
                    source = archive.extractfile(member)
                    assert source is not None
                    _write(source, targets[member.name])
                    missing.remove(member.name)
                    if not missing:
                        break
        return missing

    def _members(self, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        """Files with safe names; links, folders and devices are not files."""
        total = 0
        for member in archive:
            total += member.size
            if total > MAX_ALL:
                raise InputError(f"{self.location}: would unpack to more than {MAX_ALL >> 30} GiB: refused")
            if member.isreg():
                member.name = _checked(member.name.removeprefix("./"), self.location)
                yield member

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
        with _naming(self.location), tarfile.open(self.path) as archive:
            yield archive


@contextmanager
def _naming(location: str) -> Iterator[None]:
    """What is wrong with an archive is said of its location."""
    try:
        yield
    except BROKEN as error:
        raise InputError(f"{location}: damaged, encrypted or cut short: {error}") from None


def _checked(name: str, location: str) -> str:
    if not safe_name(name):
        raise InputError(f"{location}: holds a file with the unsafe name {name!r}: refused")
    return name


def _check_size(size: int, name: str, location: str) -> None:
    if size > MAX_FILE:
        raise InputError(f"{location}: {name} would unpack to more than {MAX_FILE >> 20} MiB: refused")


def _write(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _visible(names: Iterator[str]) -> list[str]:
    """Without what file systems and packers leave behind, such as `.DS_Store` and `__MACOSX`."""
    return sorted(name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/")))
