"""Downloads against a real server on loopback that misbehaves on purpose."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from coco_world import Server, wait_for

from losslab.data.sources.http import Absent, Fetcher, Patience
from losslab.errors import InputError

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
HASTY = Patience(attempts=3, stall=0.5, backoff=0.01, longest_wait=2)


@pytest.fixture(autouse=True)
def _file(server: Server) -> None:
    server.files["/file"] = BODY


def fetch(server: Server, path: Path, sha256: str | None = None, name: str = "/file") -> None:
    with Fetcher(HASTY) as fetcher:
        fetcher.fetch(server.url + name, path, sha256)


def first_time(action: Any) -> Any:
    """Misbehave at the first request only."""
    done = []

    def misbehave(handler: Any, body: bytes) -> bool:
        if done:
            return False
        done.append(1)
        action(handler, body)
        return True

    return misbehave


def test_a_file_appears_whole_and_leaves_nothing_beside_it(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "f", SHA256)
    assert (tmp_path / "f").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "f", SHA256)
    fetch(server, tmp_path / "f", SHA256)
    assert server.counts["/file"] == 1


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_passing_failure_is_retried(server: Server, tmp_path: Path, code: int) -> None:
    server.misbehave = first_time(lambda handler, body: handler.answer(code, b""))
    fetch(server, tmp_path / "f", SHA256)
    assert server.counts["/file"] == 2


def test_a_body_cut_short_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.misbehave = first_time(lambda handler, body: handler.answer(200, body, sent=100_000))
    fetch(server, tmp_path / "f", SHA256)
    (_, first), (_, second) = server.requests
    assert first is None
    assert 0 < int(str(second).removeprefix("bytes=").rstrip("-")) <= 100_000


def test_a_server_without_ranges_sends_the_whole_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.misbehave = first_time(lambda handler, body: handler.answer(200, body, sent=100_000))
    fetch(server, tmp_path / "f", SHA256)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_file_that_changed_between_two_attempts_is_not_pieced_together(server: Server, tmp_path: Path) -> None:
    def cut_then_change(handler: Any, body: bytes) -> None:
        handler.answer(200, body, sent=100_000)
        server.files["/file"], server.etag = BODY[::-1], '"two"'

    server.misbehave = first_time(cut_then_change)
    fetch(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY[::-1]


def test_a_part_that_lacks_only_the_renaming_needs_no_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(BODY)
    (tmp_path / "f.part.json").write_text(f'{{"validator": null, "total": {len(BODY)}}}')
    fetch(server, tmp_path / "f", SHA256)
    assert server.requests == [("/file", f"bytes={len(BODY)}-")]
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(BODY + b"more")
    (tmp_path / "f.part.json").write_text('{"validator": null, "total": 5}')
    fetch(server, tmp_path / "f", SHA256)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_wrong_checksum_is_an_error_and_the_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"sha256 is {SHA256}, not 0000"):
        fetch(server, tmp_path / "f", "0000")
    assert not list(tmp_path.iterdir())


def test_a_body_in_chunks_of_unknown_length_is_taken_as_it_comes(server: Server, tmp_path: Path) -> None:
    def chunked(handler: Any, body: bytes, end: bytes = b"0\r\n\r\n") -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Content-Encoding", "gzip")  # what it says of the content changes no byte
        handler.end_headers()
        for start in range(0, len(body), 100_000):
            chunk = body[start : start + 100_000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        handler.wfile.write(end)
        handler.close_connection = True
        return True

    server.misbehave = chunked
    fetch(server, tmp_path / "f", SHA256)
    server.misbehave = first_time(lambda handler, body: chunked(handler, body[:100_000], b"ff"))
    fetch(server, tmp_path / "g", SHA256)
    assert (tmp_path / "g").read_bytes() == BODY


def test_the_proxy_of_the_environment_is_asked_and_told_the_password(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords: list[str | None] = []

    def note(handler: Any, body: bytes) -> bool:
        passwords.append(handler.headers.get("Proxy-Authorization"))
        return False

    server.misbehave = note
    server.files["http://elsewhere.invalid/file"] = BODY
    monkeypatch.setenv("http_proxy", server.url.replace("://", "://someone:p%40ss@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Fetcher(HASTY) as fetcher:
        fetcher.fetch("http://elsewhere.invalid/file", tmp_path / "f", SHA256)
        fetcher.fetch(f"{server.url}/file", tmp_path / "g", SHA256)
    assert passwords == ["Basic " + b64encode(b"someone:p@ss").decode(), None]


def test_a_server_that_always_closes_early_is_given_up(server: Server, tmp_path: Path) -> None:
    def close_early(handler: Any, body: bytes) -> bool:
        handler.answer(200, body, sent=0)
        return True

    server.misbehave = close_early
    with pytest.raises(InputError, match="after 3 attempts"):
        fetch(server, tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_a_server_that_stalls_is_given_up_in_bounded_time(server: Server, tmp_path: Path) -> None:
    def stall(handler: Any, body: bytes) -> bool:
        handler.answer(200, body, sent=1000)
        time.sleep(3)
        return True

    server.misbehave = stall
    started = time.monotonic()
    with pytest.raises(InputError, match="after 3 attempts"):
        fetch(server, tmp_path / "f")
    assert time.monotonic() - started < 6


def test_a_server_that_trickles_is_given_up_in_bounded_time(server: Server, tmp_path: Path) -> None:
    def trickle(handler: Any, body: bytes) -> bool:
        handler.answer(200, body, sent=1)
        for _ in range(40):
            try:
                handler.wfile.write(b"x")
            except OSError:
                break
            time.sleep(0.1)
        return True

    server.misbehave = trickle
    started = time.monotonic()
    with pytest.raises(InputError, match="after 3 attempts"):
        fetch(server, tmp_path / "f")
    assert time.monotonic() - started < 8


def test_a_redirect_is_followed_and_a_redirect_loop_is_an_error(server: Server, tmp_path: Path) -> None:
    def redirect(handler: Any, body: bytes) -> bool:
        target = {"/moved": "/file", "/loop": "/loop"}.get(handler.path)
        if target:
            handler.answer(302, b"", {"Location": target})
        return target is not None

    server.misbehave = redirect
    fetch(server, tmp_path / "f", SHA256, "/moved")
    with pytest.raises(InputError, match="/loop: cannot be fetched"):
        fetch(server, tmp_path / "g", name="/loop")


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/x", "http://127.0.0.1:1/x", "http://[::bad/x"])
def test_a_url_that_cannot_work_is_an_error_that_names_it(tmp_path: Path, url: str) -> None:
    with Fetcher(HASTY) as fetcher, pytest.raises(InputError, match="cannot be fetched"):
        fetcher.fetch(url, tmp_path / "f")


def test_all_connections_wait_as_long_as_the_server_asks(server: Server, tmp_path: Path) -> None:
    times: list[float] = []
    server.files |= {f"/{i}": BODY for i in range(4)}

    def busy(handler: Any, body: bytes) -> bool:
        times.append(time.monotonic())
        if len(times) <= 4:
            handler.answer(429, b"", {"Retry-After": "1"})
        return len(times) <= 4

    server.misbehave = busy
    with Fetcher(HASTY) as fetcher:
        fetcher.fetch_many({tmp_path / str(i): f"{server.url}/{i}" for i in range(4)})
    assert min(times[4:]) - min(times[:4]) >= 1


def test_a_server_that_asks_for_an_hour_is_left_alone(server: Server, tmp_path: Path) -> None:
    server.misbehave = first_time(lambda handler, body: handler.answer(503, b"", {"Retry-After": "3600"}))
    with pytest.raises(InputError, match="asks to wait 3600 s"):
        fetch(server, tmp_path / "f")
    assert server.counts["/file"] == 1


def test_missing_files_are_told_apart_and_bounded(server: Server, tmp_path: Path) -> None:
    urls = {tmp_path / name: f"{server.url}/{name}" for name in ("file", "gone", "lost")}
    with Fetcher(HASTY) as fetcher:
        assert fetcher.fetch_many(urls, most_absent=2) == {tmp_path / "gone", tmp_path / "lost"}
        with pytest.raises(InputError, match="more than 1"):
            fetcher.fetch_many(urls, most_absent=1)
        with pytest.raises(Absent):
            fetcher.fetch(f"{server.url}/gone", tmp_path / "gone")


def test_a_download_killed_midway_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    def slowly(handler: Any, body: bytes) -> None:
        handler.answer(200, body, sent=150_000)
        time.sleep(30)

    server.misbehave = first_time(slowly)
    code = f"""from pathlib import Path
from losslab.data.sources.http import Fetcher
Fetcher().fetch('{server.url}/file', Path('f'))"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    part = tmp_path / "f.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    fetch(server, tmp_path / "f", SHA256)
    assert int(str(server.requests[-1][1]).removeprefix("bytes=").rstrip("-")) > 100_000
