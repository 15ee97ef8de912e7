"""The folder that keeps what was fetched: each file is fetched once, and kept only if it is the right one."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from coco_world import Server

from losslab.data.sources.downloads import Downloads
from losslab.errors import InputError

BODY = bytes(range(256)) * 100


def test_a_url_is_fetched_once_and_a_path_is_itself(tmp_path: Path, server: Server) -> None:
    server.files["/a%20b.bin"] = BODY
    for _ in range(2):
        with Downloads.open() as downloads:
            kept = downloads.file(f"{server.url}/a%20b.bin")
            assert kept.read_bytes() == BODY
            assert downloads.file("here/file") == Path("here/file")
    assert kept.parent.parent == Path("downloads")
    assert len(server.requests) == 1


def test_another_checksum_is_an_error_and_only_what_was_fetched_is_removed(tmp_path: Path, server: Server) -> None:
    server.files["/a"] = BODY
    Path("a").write_bytes(BODY)
    right, wrong = hashlib.md5(BODY).hexdigest(), "0" * 32
    with Downloads.open() as downloads:
        for location in ("a", f"{server.url}/a"):
            assert downloads.file(location, md5=right).read_bytes() == BODY
            with pytest.raises(InputError, match=rf"^{location}: md5 is {right}, not {wrong}"):
                downloads.file(location, md5=wrong)
        assert not downloads.path(f"{server.url}/a").exists()
    assert Path("a").read_bytes() == BODY


def test_two_processes_fetch_each_file_once(tmp_path: Path, server: Server) -> None:
    server.files |= {f"/{number}": BODY for number in range(30)}
    code = f"""if True:
        from losslab.data.sources.downloads import Downloads
        with Downloads.open() as downloads:
            for number in range(30):
                assert len(downloads.file(f"{server.url}/{{number}}").read_bytes()) == {len(BODY)}"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert server.counts == dict.fromkeys(server.files, 1)
