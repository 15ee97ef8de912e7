"""Where annotations and images come from: URLs, folders or archives, given as one text in params.yaml.

What a URL gives is kept in the downloads folder under a name made from the URL, so that nothing is fetched twice.
"""

import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from losslab.data.sources.archives import check_inside, open_files, safe_name
from losslab.data.sources.downloads import Downloads
from losslab.errors import InputError, did_you_mean

MAX_JSON = 4 << 30  # what a zip says its annotations unpack to; the official file has 0.45 GB


def annotation_text(location: str, inside: str, sha256: str | None, downloads: Downloads) -> tuple[bytes, str]:
    """The bytes of an annotation file and what to call it; `inside` is its place in a folder or zip.

    Raises:
        InputError: there is no such file, it cannot be fetched, or the zip is damaged or hostile.
    """
    path = downloads.file(location, sha256)
    if path.is_dir():
        file = next((p for p in (path / inside, path / Path(inside).name) if p.is_file()), None)
        if file is None:
            raise InputError(f"{location}: holds no {inside}")
        check_inside(file, path)
        return file.read_bytes(), str(file)
    if path.is_file() and not location.endswith(".zip") and not zipfile.is_zipfile(path):
        return path.read_bytes(), location
    archive = open_files(path, location)
    names = archive.names()
    name = next((name for name in (inside, Path(inside).name) if name in names), None)
    if name is None:
        raise InputError(f"{location}: holds no {inside}; {did_you_mean(inside, names[:20])}")
    return archive.read(name, MAX_JSON), f"{location}: {name}"


def bring_images(
    pattern: str, split: str, records: list[tuple[Path, dict[str, Any]]], downloads: Downloads, most_absent: int
) -> dict[Path, str]:
    """Put the image of each record at its path; for those that cannot be had, path → reason.

    `pattern` is a URL or local path with fields of the record in braces, or a folder or zip that holds
    `{split}/{file_name}` or `{file_name}`.

    Raises:
        InputError: a record lacks a field of the pattern, the server fails, or more than `most_absent` are missing.
    """
    location = pattern.replace("{split}", split)
    if "{" not in location and location.endswith(".zip"):
        return _bounded(location, _from_archive(location, split, records, downloads), most_absent)
    fixed = pattern.partition("{")[0]
    folder = Path(pattern if fixed == pattern else fixed.rpartition("/")[0] + "/" * ("/" in fixed))
    if "{" not in location:
        if "://" not in location and not Path(location).is_dir():
            raise InputError(f"{location}: no such folder; see download.images")
        inner = Path(location, split).is_dir()
        location = location.rstrip("/") + (f"/{split}" if inner else "") + "/{file_name}"
    remote = "://" in location or any("://" in str(record.get(location[1:].split("}")[0])) for _, record in records[:1])
    places = {target: _fill(location, record, remote) for target, record in records}
    if remote:
        kept = {target: downloads.path(url) for target, url in places.items()}
        absent = downloads.fetcher.fetch_many({kept[t]: url for t, url in places.items()}, most_absent)
        lacking = {target: "missing" for target, path in kept.items() if path in absent}
        for target in kept.keys() - lacking.keys():
            _link(kept[target], target)
        return lacking
    unfound = {target: "missing" for target, place in places.items() if not Path(place).is_file()}
    lacking = _bounded(location, unfound, most_absent)
    for target in places.keys() - lacking.keys():
        check_inside(Path(places[target]), folder)
        # A copy, not a link: DVC makes files read-only when it takes them over, and these are the user's.
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(places[target], target)
    return lacking


def _fill(pattern: str, record: dict[str, Any], remote: bool) -> str:
    """The pattern with the record's values in place of `{field}`."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in record:
            raise InputError(
                f"images: {pattern}: image {record.get('id')} has no {match[1]}; known: {', '.join(record)}"
            )
        text = str(record[match[1]])
        if not remote and not safe_name(text):
            raise InputError(f"images: {pattern}: image {record.get('id')}: unsafe {match[1]} {text!r}")
        return quote(text, safe="/") if remote and "://" not in text else text

    return re.sub(r"\{(\w+)\}", value, pattern)


def _from_archive(
    location: str, split: str, records: list[tuple[Path, dict[str, Any]]], downloads: Downloads
) -> dict[Path, str]:
    archive = open_files(downloads.file(location), location)
    names = set(archive.names())
    places = {
        target: next((n for n in (f"{split}/{record['file_name']}", record["file_name"]) if n in names), "")
        for target, record in records
    }
    failed = {"": "missing"}
    archive.copy({name: target for target, name in places.items() if name}, failed)
    return {target: failed[name] for target, name in places.items() if name in failed}


def _bounded(location: str, lacking: dict[Path, str], most: int) -> dict[Path, str]:
    if len(lacking) > most:
        first, reason = next(iter(lacking.items()))
        raise InputError(f"{location}: {first.name} is {reason}; {len(lacking)} such images, more than {most}")
    return lacking


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        pass  # two records share an image
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
