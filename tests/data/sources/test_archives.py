"""Archives from anywhere: what is hostile or damaged is refused by name, and nothing lands outside."""

import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from losslab.data.sources import archives
from losslab.errors import InputError


def zipped(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tarred(path: Path, **files: bytes) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../outside", "/outside", "in/../../outside", "C:\\outside", "a\x1bb"])
def test_an_unsafe_name_is_refused_and_nothing_is_written(tmp_path: Path, pack: Callable[..., None], name: str) -> None:
    path = tmp_path / "deep" / "archive"
    path.parent.mkdir()
    pack(path, **{"fine": b"1", name: b"2"})
    files = archives.open_files(path, "archive")
    with pytest.raises(InputError, match="archive: holds a file with the unsafe name"):
        files.names()
    if pack is tarred:
        with pytest.raises(InputError, match="unsafe name"):
            files.copy({name: tmp_path / "deep" / "copy"})
    assert [p.name for p in tmp_path.rglob("*")] == ["deep", "archive"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, pack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_FILE", 1 << 20)
    pack(tmp_path / "bomb", zeros=bytes((1 << 20) + 1), small=b"1")
    files = archives.open_files(tmp_path / "bomb", "bomb")
    with pytest.raises(InputError, match="bomb: zeros would unpack to more than 1 MiB: refused"):
        files.copy({"zeros": tmp_path / "zeros"})
    assert not (tmp_path / "zeros").exists()
    assert files.copy({"small": tmp_path / "small", "gone": tmp_path / "gone"}) == {"gone"}


def test_a_tar_that_unpacks_to_too_much_in_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ALL", 1 << 20)
    tarred(tmp_path / "bomb", **{str(number): bytes(1 << 18) for number in range(5)})
    with pytest.raises(InputError, match="bomb: would unpack to more than"):
        archives.open_files(tmp_path / "bomb", "bomb").names()


def test_links_and_devices_in_a_tar_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"link{kind.decode()}")
            member.type, member.linkname = kind, "/etc/hostname"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("file"))
    files = archives.open_files(tmp_path / "links.tar", "links.tar")
    assert files.names() == ["file"]
    assert files.copy({"link2": tmp_path / "link"}) == {"link2"}


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_archive_cut_short_is_named(tmp_path: Path, pack: Callable[..., None], share: float) -> None:
    noise = {str(number): bytes((number * i * i) % 251 for i in range(30_000)) for number in range(1, 4)}
    pack(tmp_path / "whole", **noise)
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"^cut: (damaged|neither)"):
        archives.open_files(tmp_path / "cut", "cut").copy({name: tmp_path / "out" / name for name in noise})


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    zipped(tmp_path / "zip", file=bytes(range(256)) * 40)
    content = bytearray((tmp_path / "zip").read_bytes())
    content[60:70] = b"0123456789"
    (tmp_path / "zip").write_bytes(content)
    with pytest.raises(InputError, match="zip: damaged"):
        archives.open_files(tmp_path / "zip", "zip").copy({"file": tmp_path / "file"})


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"text", mtime=0), b"PK\x03\x04 but no zip"])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match="file: neither a folder nor a whole zip or tar archive"):
        archives.open_files(tmp_path / "file", "file")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(
    tmp_path: Path, pack: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    zeros = {str(number): bytes(1 << 20) for number in range(8)}
    pack(tmp_path / "bomb", **zeros)
    assert (tmp_path / "bomb").stat().st_size < 1 << 14
    files = archives.open_files(tmp_path / "bomb", "bomb")
    for act in (files.names, lambda: files.copy({name: tmp_path / "out" / name for name in zeros})):
        with pytest.raises(InputError, match=r"^bomb: would unpack to more than \d MiB: refused$"):
            act()
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 2 << 20 if pack is tarred else True
    noise = {str(number): os.urandom(1 << 20) for number in range(4)}
    pack(tmp_path / "noise", **noise)
    assert archives.open_files(tmp_path / "noise", "noise").names() == [*noise]


def test_a_zip_member_that_writes_more_than_it_says_is_refused(tmp_path: Path) -> None:
    zipped(tmp_path / "zip", file=bytes(1 << 20))
    content = (tmp_path / "zip").read_bytes()
    assert content.count((1 << 20).to_bytes(4, "little")) == 2
    (tmp_path / "zip").write_bytes(content.replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(InputError, match="zip: damaged"):
        archives.open_files(tmp_path / "zip", "zip").copy({"file": tmp_path / "file"})
    assert (tmp_path / "file").stat().st_size <= 10


def test_a_tar_with_a_name_without_end_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_HEADER", 1000)
    for place, form in ((0, tarfile.PAX_FORMAT), (1, tarfile.PAX_FORMAT), (0, tarfile.GNU_FORMAT)):
        with tarfile.open(tmp_path / "tar", "w:gz", format=form) as tar:
            for _ in range(place):
                tar.addfile(tarfile.TarInfo("fine"))
            tar.addfile(tarfile.TarInfo("n" * 2000))
        with pytest.raises(InputError, match=r"^tar: damaged.*: a file's name would have \d+ bytes: refused$"):
            archives.open_files(tmp_path / "tar", "tar").names()


def test_a_link_that_leads_out_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / "file").write_text("file")
    (folder / "within").symlink_to("file")
    (folder / "in/out").symlink_to("../../secret")
    (tmp_path / "link to the folder").symlink_to("folder")
    for path in (folder, tmp_path / "link to the folder"):
        files = archives.open_files(path, "folder")
        assert files.copy({"within": tmp_path / "copy"}) == set()
        with pytest.raises(InputError, match=r"in/out: is a link that leads out of .*: refused; put a copy"):
            files.copy({"in/out": tmp_path / "out"})
    assert (tmp_path / "copy").read_text() == "file"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="this system has no such names")
def test_a_name_that_is_no_utf_8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "é.png").touch()
    assert archives.open_files(tmp_path, "folder").names() == ["é.png"]
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    with pytest.raises(InputError, match=r"^folder: the name of the file '\\udcff.png' is not UTF-8; rename it$"):
        archives.open_files(tmp_path, "folder").names()
