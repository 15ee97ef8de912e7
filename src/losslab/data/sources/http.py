"""Fetching files from URLs, verified before they appear.

A download goes to `NAME.part`, with what the server said of the file beside it in `NAME.part.json`, and is renamed when
whole. Whatever ends it before, even kill −9, the next attempt asks only for the rest (HTTP Range).
"""

import os
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import certifi
import msgspec
from tqdm import tqdm
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, ResponseError
from urllib3.util import make_headers, parse_url

from losslab.errors import InputError
from losslab.results.files import digest, verify

CONNECTIONS = 8
CHUNK = 1 << 16
REDIRECTS = Retry(total=None, connect=0, read=0, other=0, redirect=20)
RETRIED = {408, 425, 429, 500, 502, 503, 504}
ABSENT = {403, 404, 410}  # object stores answer 403 for a file that is not there
MAX_DOWNLOAD = 1 << 40  # bytes; whatever fills a disk is no data set
PROGRESS = 1 << 20  # an attempt that brought this many bytes was worth making: the count of failures starts again


@dataclass(frozen=True)
class Patience:
    """When to give up on a server."""

    attempts: int = 6
    """Attempts in a row that bring (almost) nothing."""
    stall: float = 30
    """Seconds without a byte; over any longer time, a server has to send `slowest` bytes a second."""
    slowest: float = 1000
    backoff: float = 1
    """Seconds before the second attempt; doubled for each further one."""
    longest_wait: float = 300
    """Seconds; a server that asks to be left alone for longer (`Retry-After`) ends the download."""


class Absent(InputError):
    """The server has no such file."""


class _Again(Exception):
    """This attempt failed, the next may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float = 0) -> None:
        super().__init__(why)
        self.wait = wait


class _Part(msgspec.Struct):
    """What the server said of a file of which a part is here."""

    validator: str | None = None
    total: int | None = None


class Fetcher:
    """Fetches files, several at a time, over kept connections; when a server asks for quiet, all of them wait."""

    def __init__(self, patience: Patience = Patience(), certificates: str | None = None) -> None:
        self.patience, self.certificates = patience, certificates
        self._pools: dict[str | None, PoolManager] = {}  # by proxy
        self._quiet_until = 0.0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools.values():
            pool.clear()

    def fetch(
        self, url: str, path: Path, sha256: str | None = None, *, most: int = MAX_DOWNLOAD, progress: bool = False
    ) -> None:
        """Download `url` to `path`, unless it is there already (and has the checksum).

        Raises:
            Absent: the server has no such file.
            InputError: the server cannot be reached or answers with an error, the file has more than `most` bytes, or
                the checksum is another.
        """
        if path.exists():
            if sha256 is None or digest(path, "sha256") == sha256:
                return
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        part, record = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        failures = 0
        while True:
            before = _size(part)
            try:
                self._keep_quiet()
                self._attempt(url, part, record, most, progress)
                break
            except _Again as error:
                failure, wait = error, error.wait
            except (HTTPError, UnicodeError) as error:
                cause = error.reason if isinstance(error, MaxRetryError) else error
                if isinstance(cause, LocationValueError | ResponseError | UnicodeError):  # the URL, or its redirects
                    raise InputError(f"{url}: cannot be fetched: {cause}") from None
                failure, wait = _Again(str(cause) or type(cause).__name__), 0
            failures = 1 if _size(part) - before >= PROGRESS else failures + 1
            if failures >= self.patience.attempts:
                raise InputError(f"{url}: cannot be fetched after {failures} attempts: {failure}") from None
            if wait > self.patience.longest_wait:
                raise InputError(f"{url}: the server asks to wait {wait:.0f} s; try again later") from None
            wait = max(wait, self.patience.backoff * 2 ** (failures - 1) * random.uniform(0.5, 1))
            self._stopped.wait(wait)
        try:
            verify(part, sha256, url)
        except InputError:
            part.unlink()
            raise
        finally:
            record.unlink(missing_ok=True)
        part.replace(path)

    def fetch_many(self, urls: Mapping[Path, str], most_absent: int = 0) -> set[Path]:
        """Download each URL to its path, `CONNECTIONS` at a time; the paths that their server does not have.

        Raises:
            InputError: as for `fetch`, or more than `most_absent` files are not there. What came is kept.
        """
        absent: set[Path] = set()
        pool = ThreadPoolExecutor(CONNECTIONS)
        try:
            running = {pool.submit(self.fetch, url, path): path for path, url in urls.items()}
            for done in tqdm(as_completed(running), total=len(running), unit="image", disable=None):
                try:
                    done.result()
                except Absent as error:
                    absent.add(running[done])
                    if len(absent) > most_absent:
                        raise InputError(f"{error}; {len(absent)} are missing, more than {most_absent}") from None
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)
            self._stopped.clear()
        return absent

    def _attempt(self, url: str, part: Path, record: Path, most: int, progress: bool) -> None:
        """One request: for the whole file, or for what `part` lacks."""
        known = _read_record(record)
        offset = _size(part) if known else 0
        headers = {"Accept-Encoding": "identity"}  # a byte range of a compressed answer is of no use
        if known and offset:
            headers["Range"] = f"bytes={offset}-"
            if known.validator:
                headers["If-Range"] = known.validator
        with self._request(url, headers) as response:
            self._check_status(url, response)
            first, total = _range(response)
            if response.status == 416 and offset and total == offset:
                return  # it was killed between the last byte and the renaming
            if first != (0 if response.status == 200 else offset) or (first and known and total != known.total):
                part.unlink(missing_ok=True)
                raise _Again(f"the server answered {response.status}, not with the part asked for")
            etag = response.headers.get("ETag", "W/")
            validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
            record.write_bytes(msgspec.json.encode(_Part(validator, total)))
            with part.open("r+b" if first else "wb") as file:
                file.seek(first)
                started, received = time.monotonic(), 0
                with tqdm(
                    total=total, initial=first, unit="B", unit_scale=True, disable=None if progress else True
                ) as bar:
                    while chunk := response.read1(CHUNK, decode_content=False):
                        file.write(chunk)
                        bar.update(len(chunk))
                        received += len(chunk)
                        if first + received > most:
                            raise InputError(f"{url}: has more than {most} bytes: refused")
                        seconds = time.monotonic() - started
                        if seconds > self.patience.stall and received < seconds * self.patience.slowest:
                            raise _Again(f"the server stalls: {received} bytes in {seconds:.0f} s")
                        if self._stopped.is_set():
                            raise InputError(f"{url}: stopped")
            if total is not None and first + received != total:
                raise _Again(f"{first + received} bytes came, not {total}")

    def _request(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """The answer, its body still to be read; by way of the proxy that the environment names, such as `HTTPS_PROXY`.

        Raises:
            HTTPError: there is none.
        """
        address = parse_url(url)
        proxies = {} if proxy_bypass(address.host or "") else getproxies()
        proxy = proxies.get(address.scheme or "", proxies.get("all"))
        pool = self._pools.get(proxy) or self._pools.setdefault(proxy, _open_pool(proxy, self.certificates))
        if address.auth:
            headers = headers | make_headers(basic_auth=unquote(address.auth))
        return pool.request(
            "GET", url, headers=headers, preload_content=False, retries=REDIRECTS, timeout=self.patience.stall
        )

    def _check_status(self, url: str, response: BaseHTTPResponse) -> None:
        code = response.status
        if code in RETRIED:
            try:
                wait = REDIRECTS.get_retry_after(response) or 0
            except (HTTPError, ValueError, OverflowError):  # no number of seconds, and no date
                wait = 0
            if code in {429, 503} and wait <= self.patience.longest_wait:
                self._quiet_until = max(self._quiet_until, time.monotonic() + wait)
            raise _Again(f"the server answered {code}", wait)
        if code in ABSENT:
            raise Absent(f"{url}: not there: the server answered {code}")
        if code not in {200, 206, 416}:
            raise InputError(f"{url}: cannot be fetched: the server answered {code}")

    def _keep_quiet(self) -> None:
        self._stopped.wait(max(0, self._quiet_until - time.monotonic()))
        if self._stopped.is_set():
            raise InputError("stopped")


def _open_pool(proxy: str | None, certificates: str | None) -> PoolManager:
    certificates = certificates or os.environ.get("SSL_CERT_FILE") or certifi.where()
    if proxy is None:
        return PoolManager(maxsize=CONNECTIONS, ca_certs=certificates)
    user = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(user)) if user else None
    return ProxyManager(proxy, proxy_headers=headers, maxsize=CONNECTIONS, ca_certs=certificates)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_record(path: Path) -> _Part | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Part)
    except (FileNotFoundError, msgspec.DecodeError):  # killed while it was written
        return None


def _range(response: BaseHTTPResponse) -> tuple[int, int | None]:
    """Where the answer's bytes start in the file, and the length of the whole file if the server says it."""
    try:
        if response.status == 200:
            length = response.headers.get("Content-Length")
            return 0, None if length is None else int(length)
        span, total = response.headers.get("Content-Range", "").removeprefix("bytes ").split("/")
        return 0 if span == "*" else int(span.split("-")[0]), None if total == "*" else int(total)
    except ValueError:
        return -1, None
