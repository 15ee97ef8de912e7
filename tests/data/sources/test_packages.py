"""Packages: the archive comes from the index that pip is set up for, and nothing in it is run."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from coco_world import Server
from projects import Project

from losslab import data
from losslab.data.sources.packages import fetch_package
from losslab.errors import InputError

FILE = "Some_Thing-1.0.tar.gz"


@pytest.fixture
def index(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An index on loopback, and pip set up for it alone."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return server


def package(mark: Path) -> bytes:
    """A source distribution whose setup.py leaves a mark when it is run."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        text = f"open({str(mark)!r}, 'w')".encode()
        member = tarfile.TarInfo("some_thing-1.0/setup.py")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return content.getvalue()


def listed(server: Server, content: bytes, said: str = "") -> str:
    """The file on the index, among others; its sha256."""
    page = "".join(
        f'<a href="../../files/{name}{said}">{name}</a>'
        for name in ("some_thing-1.0-py3-none-any.whl", "some_thing-0.9.tar.gz", "some-1.0.tar.gz", FILE)
    )
    server.files |= {"/simple/some-thing/": page.encode(), f"/files/{FILE}": content}
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("says_hash", [False, True])
def test_the_archive_is_fetched_and_its_setup_is_not_run(index: Server, tmp_path: Path, says_hash: bool) -> None:
    content = package(tmp_path / "mark")
    sha256 = listed(index, content, f"#sha256={hashlib.sha256(content).hexdigest()}" if says_hash else "")
    assert fetch_package("Some.thing==1.0", tmp_path, sha256).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [FILE], "no mark, and no leftovers"
    assert list(index.counts) == ["/simple/some-thing/", f"/files/{FILE}"], "no build tool either"


@pytest.mark.parametrize("says_hash", [False, True])
def test_another_checksum_is_refused_before_anything_looks_inside(
    index: Server, tmp_path: Path, says_hash: bool
) -> None:
    sha256 = listed(index, package(tmp_path / "mark"), "#sha256=" + "1" * 64 if says_hash else "")
    wanted = "0" * 64
    with pytest.raises(InputError, match=f"sha256 is {'1' * 64 if says_hash else sha256}, not {wanted}"):
        fetch_package("some-thing==1.0", tmp_path, wanted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["{0} @ {1}#x==y", "{1}#x==1", "-r{1}==1", "{0}==1.0 --hash=sha256:0", "a==1\nb==1"])
def test_only_a_name_and_a_version_are_a_package(index: Server, tmp_path: Path, source: str) -> None:
    archive = tmp_path / "evil-1.0.tar.gz"
    archive.write_bytes(package(tmp_path / "mark"))
    source = source.format("some-thing", archive.as_uri())
    options = {"source": source, "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    shapes = data.registry.resolve("purdue_shapes").to_fetch(options)
    with pytest.raises(InputError, match=r"neither a package \(name==version\), a URL nor a folder$"):
        shapes.fetch(tmp_path / "raw")
    with pytest.raises(InputError, match="not a package as name==version"):
        fetch_package(source, tmp_path, options["sha256"])
    assert not (tmp_path / "mark").exists()
    assert not index.requests


def test_what_an_index_does_not_have_is_one_line(index: Server, tmp_path: Path) -> None:
    sha256 = listed(index, b"")
    for requirement in ("some-thing==2.0", "other==1.0"):
        with pytest.raises(InputError, match=rf"^{requirement}: cannot .* index: it has no such source distribution$"):
            fetch_package(requirement, tmp_path, sha256)


def test_a_page_from_elsewhere_names_no_file_of_this_machine(index: Server, tmp_path: Path) -> None:
    secret = tmp_path / FILE
    secret.write_bytes(b"secret")
    index.files["/simple/some-thing/"] = f'<base href="file:///"><a href="{secret.as_uri()}">x</a>'.encode()
    with pytest.raises(InputError, match="it has no such source distribution"):
        fetch_package("some-thing==1.0", tmp_path, hashlib.sha256(b"secret").hexdigest())


def test_a_page_without_end_is_refused(index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("losslab.data.sources.packages.MAX_PAGE", 1000)
    index.files["/simple/some-thing/"] = b" " * 1001
    with pytest.raises(InputError, match="has more than 1000 bytes: refused"):
        fetch_package("some-thing==1.0", tmp_path, "0" * 64)


@pytest.mark.parametrize("kind", ["index", "folder"])
def test_an_index_of_local_files_serves_too(
    index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    store, out = tmp_path / "the store", tmp_path / "out"
    (store / "simple/some-thing").mkdir(parents=True)
    out.mkdir()
    (store / FILE).write_bytes(b"content")
    (store / "simple/some-thing/index.html").write_text(f'<a href="../../{FILE}">x</a>')
    name, value = ("INDEX_URL", (store / "simple").as_uri()) if kind == "index" else ("FIND_LINKS", str(store))
    monkeypatch.setenv(f"PIP_{name}", value.replace(" ", "%20") if kind == "index" else store.as_uri())
    sha256 = hashlib.sha256(b"content").hexdigest()
    assert fetch_package("some-thing==1.0", out, sha256).read_bytes() == b"content"


def test_a_password_in_the_index_address_is_sent_and_not_shown(
    index: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    index.misbehave = lambda handler, _: sent.append(handler.headers["Authorization"])  # type: ignore[func-returns-value]
    address = index.url.replace("//", "//me:se%20cret@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    index.files["/simple/some-thing/"] = f'<a href="/gone/{FILE}">x</a>'.encode()
    with pytest.raises(InputError, match="not there: the server answered 404") as caught:
        fetch_package("some-thing==1.0", tmp_path, "0" * 64)
    assert sent == ["Basic bWU6c2UgY3JldA=="] * 2
    assert "cret" not in str(caught.value)


def test_an_unreachable_index_is_one_line_and_leaves_nothing(project: Project) -> None:
    assert project.stage("plan").returncode == 0
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = project.stage("download", "shapes", **closed)
    assert done.returncode == 1
    assert done.stderr.startswith("error: dlstudio==1.0.9: cannot be fetched from the package index")
    assert len(done.stderr.splitlines()) == 1
    assert list((project.root / "data/raw").iterdir()) == []


def test_a_wrong_checksum_is_one_line_and_leaves_nothing(project: Project) -> None:
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(sha256="0" * 64))
    assert project.stage("plan").returncode == 0
    done = project.stage("download", "shapes")
    assert done.returncode == 1
    assert done.stderr.startswith("error: dlstudio==1.0.9: ")
    assert len(done.stderr.splitlines()) == 1
    assert list((project.root / "data/raw").iterdir()) == []
