"""Source distributions from the package index that pip is set up for: fetched as files, and nothing in them is run.

`pip download` would run a package's `setup.py` to ask it for its name. So pip is asked only which indexes it would
use; their pages (the "simple" HTML pages of PEP 503, or folders of files) are read here.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from losslab.data.sources.http import Absent, Fetcher, Patience
from losslab.errors import InputError
from losslab.results.files import verify

PINNED = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9.+!]*)")
SOURCE = re.compile(r"(.+)-([^-]+)(?:\.tar\.gz|\.tgz|\.tar\.bz2|\.tar\.xz|\.tar|\.zip)")
WHEEL = re.compile(r"([^-]+)-([^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
MAX_PAGE = 1 << 26  # bytes of an index's page of one package
MAX_PACKAGE = 1 << 32
ASK_PIP = """
import json
from pip._internal.commands import create_command
options, _ = create_command("download").parse_args([])
names = ("index_url", "extra_index_urls", "find_links", "no_index", "cert", "retries", "timeout")
print(json.dumps({name: getattr(options, name) for name in names}))
"""


def is_package(source: str) -> bool:
    """Whether it is a name and a version, such as `dlstudio==1.0.9`, and nothing else."""
    return PINNED.fullmatch(source) is not None


def fetch_package(requirement: str, folder: Path, sha256: str, kinds: Sequence[re.Pattern[str]] = (SOURCE,)) -> Path:
    """Download a pinned package, such as `dlstudio==1.0.9`, into `folder`; its path there.

    Args:
        requirement: the package's name and version.
        folder: gets the file.
        sha256: of the file.
        kinds: `SOURCE` for its source distribution, `WHEEL` for a wheel.

    Raises:
        InputError: the index cannot be reached, has no such package, or gives a file with another checksum.
    """
    pinned = PINNED.fullmatch(requirement)
    if pinned is None:
        raise InputError(f"{requirement}: not a package as name==version")
    name, version = _normalised(pinned[1]), pinned[2]
    options = _ask_pip(requirement)
    patience = Patience(attempts=options["retries"] + 1, stall=options["timeout"])
    with tempfile.TemporaryDirectory(dir=folder) as work, Fetcher(patience, options["cert"]) as fetcher:
        try:
            others = []
            for link in _links(options, name, fetcher, Path(work, "page")):
                url, fragment = urldefrag(link)
                file = unquote(urlsplit(url).path).rpartition("/")[2]
                if not _is_of(file, name, version, kinds):
                    continue
                # A page may leave a file's checksum out; a file of which it says another is not asked for.
                kind, _, said = fragment.partition("=")
                if kind == "sha256" and said != sha256:
                    others.append(said)
                    continue
                _bring(url, Path(work, file), fetcher, MAX_PACKAGE)
                verify(Path(work, file), sha256, file)
                return Path(work, file).replace(folder / file)
            raise InputError(
                f"its sha256 is {others[0]}, not {sha256}"
                if others
                else "it has no such file"
                if WHEEL in kinds
                else "it has no such source distribution"
            )
        except InputError as error:
            reason = re.sub(r"//[^/@\s]*@", "//", str(error))  # an index's address may hold a password
            raise InputError(f"{requirement}: cannot be fetched from the package index: {reason}") from None


def _ask_pip(requirement: str) -> dict[str, Any]:
    """Which indexes pip is set up for, by its files, the environment and its own default."""
    asked = subprocess.run([sys.executable, "-P", "-c", ASK_PIP], capture_output=True, text=True, encoding="utf-8")
    if asked.returncode:
        why = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        raise InputError(f"{requirement}: cannot be fetched from the package index: pip does not say which: {why}")
    options: dict[str, Any] = json.loads(asked.stdout)
    return options


def _links(options: dict[str, Any], name: str, fetcher: Fetcher, page: Path) -> Iterator[str]:
    """The URL of every file that the indexes have of a package; an index is asked when those before it are done."""
    for place in options["find_links"]:
        local = Path(url2pathname(urlsplit(place).path) if place.startswith("file:") else place)
        if local.is_dir():
            yield from (file.resolve().as_uri() for file in sorted(local.iterdir()))
        else:
            yield from _of_page(place if "://" in place else local.resolve().as_uri(), fetcher, page)
    for index in () if options["no_index"] else (options["index_url"], *options["extra_index_urls"]):
        yield from _of_page(f"{index.rstrip('/')}/{name}/", fetcher, page)


def _of_page(url: str, fetcher: Fetcher, page: Path) -> list[str]:
    """The links on a page; none if there is no such page."""
    is_index = url.startswith("file:") and url.endswith("/")
    try:
        _bring(f"{url}index.html" if is_index else url, page, fetcher, MAX_PAGE)
    except Absent:
        return []
    parser = _Page(url)
    parser.feed(page.read_bytes().decode("utf-8", "replace"))
    page.unlink()
    return parser.links


def _bring(url: str, path: Path, fetcher: Fetcher, most: int) -> None:
    """The file of a URL to `path`; of a local one a copy."""
    if not url.startswith("file:"):
        fetcher.fetch(url, path, most=most)
        return
    file = Path(url2pathname(urlsplit(url).path))
    if not file.is_file():
        raise Absent(f"{url}: not there")
    if file.stat().st_size > most:
        raise InputError(f"{url}: has more than {most} bytes: refused")
    shutil.copyfile(file, path)


class _Page(HTMLParser):
    """The links of an index's page, whole."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.base, self.links = url, list[str]()
        # A page from elsewhere cannot name files of this machine.
        self.schemes = {"http", "https"} | ({"file"} if url.startswith("file:") else set())

    def handle_starttag(self, tag: str, attributes: Iterable[tuple[str, str | None]]) -> None:
        target = dict(attributes).get("href")
        if target is None:
            return
        try:
            joined = urljoin(self.base, target)
        except ValueError:
            return  # no URL: no file of ours
        if tag == "base":
            self.base = joined
        elif tag == "a" and urlsplit(joined).scheme in self.schemes:
            self.links.append(joined)


def _is_of(file: str, name: str, version: str, kinds: Sequence[re.Pattern[str]]) -> bool:
    parts = next((match for kind in kinds if (match := kind.fullmatch(file))), None)
    return parts is not None and _normalised(parts[1]) == name and parts[2].lower() == version.lower()


def _normalised(name: str) -> str:
    """As indexes write a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
