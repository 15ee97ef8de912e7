"""Files by name from a folder, a zip or a tar (plain or compressed), each the same way.

An archive comes from anywhere: nothing leaves it under a name that could land outside, and nothing is unpacked that is
larger than a bound or out of proportion to the archive. Of a folder no link is followed that leads out of it.
"""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from losslab.errors import InputError

MAX_FILE = 1 << 28  # bytes of one file
MAX_ALL = 1 << 38  # bytes that an archive unpacks to
PROPORTION, ALWAYS = 100, 1 << 30  # so many times its size, and so many bytes, may any archive unpack to
MAX_HEADER = 1 << 20  # bytes; what tells a long name in a tar
MAX_NAMES = 1 << 21
MAX_PATH, MAX_PART = 1 << 10, 1 << 8  # of a name, of what stands between two `/`
LONG_NAMES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a compression that this Python has not
    ValueError,  # a zip whose directory points nowhere
)

Member = tuple[str, int, Callable[[], Any]]
"""A file: its name, relative, with `/`; its size in bytes; and what opens it."""


class Files(ABC):
    """The files of a folder or an archive; `location` is what to call it."""

    def __init__(self, path: Path, location: str) -> None:
        self.path, self.location = path, location

    @abstractmethod
    def _members(self) -> Iterator[Member]:
        """Every file."""

    def names(self) -> list[str]:
        """Names of the files, sorted, without what file systems and packers leave, such as `.DS_Store`, `__MACOSX`."""
        with self._naming_what_breaks():
            names = [name for name, _, _ in islice(self._members(), MAX_NAMES + 1)]
        if len(names) > MAX_NAMES:
            raise InputError(f"{self.location}: holds more than {MAX_NAMES} files: refused")
        return sorted(n for n in names if not any(part.startswith((".", "__MACOSX")) for part in n.split("/")))

    def read(self, name: str, most: int) -> bytes:
        """The content of a file, of at most `most` bytes.

        Raises:
            InputError: the archive is damaged, or the file is larger or not there.
        """
        with self._naming_what_breaks():
            for member, size, opened in self._members():
                if member == name:
                    self._check_size(name, size, most)
                    self._check_all(size)
                    try:
                        with opened() as file:
                            content: bytes = file.read()
                            return content
                    except BROKEN as error:
                        raise InputError(f"{self.location}: {name} is damaged or encrypted: {error}") from None
        raise InputError(f"{self.location}: holds no {name}")

    def copy(self, targets: Mapping[str, Path], failed: dict[str, str] | None = None) -> set[str]:
        """Copy the files so named to their paths, whose folders are made; the names that are not there.

        Args:
            targets: name → path.
            failed: gets name → `damaged` or `too_large` where these files are to be left out, not to raise an error.

        Raises:
            InputError: the archive is damaged, or a file in it is larger than `MAX_FILE`.
        """
        missing = set(targets)
        with self._naming_what_breaks():
            # In the archive's order: going back in a compressed one means to unpack it from its beginning.
            for name, size, opened in self._members():
                if not missing:
                    break
                if name not in missing:
                    continue
                missing.remove(name)
                if failed is not None and size > MAX_FILE:
                    failed[name] = "too_large"
                    continue
                self._check_size(name, size, MAX_FILE)
                targets[name].parent.mkdir(parents=True, exist_ok=True)
                try:
                    with opened() as source, targets[name].open("wb") as file:
                        shutil.copyfileobj(source, file, 1 << 20)
                except BROKEN:
                    if failed is None:
                        raise
                    targets[name].unlink(missing_ok=True)
                    failed[name] = "damaged"
        return missing

    @contextmanager
    def _naming_what_breaks(self) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            raise InputError(f"{self.location}: damaged, encrypted or cut short: {error}") from None

    def _check_size(self, name: str, size: int, most: int) -> None:
        if size > most:
            raise InputError(f"{self.location}: {name} would unpack to more than {most >> 20} MiB: refused")

    def _check_all(self, total: int) -> None:
        most = min(MAX_ALL, ALWAYS + PROPORTION * self.path.stat().st_size)
        if total > most:
            raise InputError(f"{self.location}: would unpack to more than {most >> 20} MiB: refused")

    def _safe(self, name: str) -> str:
        if not safe_name(name):
            raise InputError(f"{self.location}: holds a file with the unsafe name {name!r}: refused")
        return name


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
        tarfile.open(path, tarinfo=_Header).close()
        return _Tar(path, location)
    except tarfile.TarError:
        raise InputError(f"{location}: neither a folder nor a whole zip or tar archive") from None
    except BROKEN as error:
        raise InputError(f"{location}: damaged: {error}") from None


def safe_name(name: str) -> bool:
    """Whether a relative file name stays inside its folder, and is no longer than names may be, on any system."""
    path = PurePosixPath(name)
    return (
        bool(path.name)
        and len(name) < MAX_PATH
        and max(len(part.encode(errors="replace")) for part in path.parts) < MAX_PART
        and ".." not in path.parts
        and not path.is_absolute()
        and not any(sign in name for sign in "\\:\0")
        and name.isprintable()
    )


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a file that lies in the folder by its name only, by way of a link.

    Raises:
        InputError: it does.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}: is a link that leads out of {folder}: refused; put a copy of the file in its place")


class _Folder(Files):
    def read(self, name: str, most: int) -> bytes:
        path = self.path / name
        if not path.is_file():
            raise InputError(f"{self.location}: holds no {name}")
        check_inside(path, self.path)
        self._check_size(name, path.stat().st_size, most)
        return path.read_bytes()

    def _members(self) -> Iterator[Member]:
        for path in self.path.rglob("*"):
            if path.is_file():
                name = path.relative_to(self.path).as_posix()
                if not name.isascii() and name != name.encode(errors="replace").decode():
                    raise InputError(f"{self.location}: the name of the file {name!r} is not UTF-8; rename it")
                yield name, path.stat().st_size, partial(path.open, "rb")

    def copy(self, targets: Mapping[str, Path], failed: dict[str, str] | None = None) -> set[str]:
        present = {name: target for name, target in targets.items() if (self.path / name).is_file()}
        for name, target in present.items():
            check_inside(self.path / name, self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            # A copy, not a link: DVC makes files read-only when it takes them over, and these are the user's.
            shutil.copyfile(self.path / name, target)
        return targets.keys() - present.keys()


class _Zip(Files):
    def _members(self) -> Iterator[Member]:
        with zipfile.ZipFile(self.path) as archive:
            # What says that it is larger is not unpacked.
            self._check_all(sum(info.file_size for info in archive.infolist() if info.file_size <= MAX_FILE))
            for name, info in archive.NameToInfo.items():  # of several files of one name the last
                if not info.is_dir():
                    yield self._safe(name), info.file_size, partial(archive.open, name)


class _Header(tarfile.TarInfo):
    """What a tar says of a member. A long name has a length of its own, and would be read whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in LONG_NAMES and self.size > MAX_HEADER:
            raise ValueError(f"a file's name would have {self.size} bytes: refused")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Tar(Files):
    def _members(self) -> Iterator[Member]:
        total = 0
        with tarfile.open(self.path, tarinfo=_Header) as archive:
            for member in archive:
                total += tarfile.BLOCKSIZE + member.size
                self._check_all(total)
                if member.isreg():  # links, folders and devices are not files
                    yield self._safe(member.name.removeprefix("./")), member.size, partial(archive.extractfile, member)
