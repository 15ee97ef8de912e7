"""Which images are to be predicted, and what their outputs are called: no two alike, whatever their case."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from losslab.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

NAME_BYTES = 110
"""Bytes of an image's and of a class's name that outputs keep: both are in the name of one file, which may have 255."""


@dataclass(frozen=True)
class Source:
    """One image: what the user called it, and the name of its outputs below the output folder."""

    given: str
    name: str


def class_words(classes: Sequence[str]) -> list[str]:
    """What each class is called in file names: no two alike, whatever their case, and none like another output."""
    words, taken = list[str](), {"mask", "overlay", "compare"}
    for name in classes:
        wanted = _cut(re.sub(r"[^\w-]+", "_", name)[:60]) or "class"
        words.append(_untaken(wanted, taken))
    return words


def _untaken(wanted: str, taken: set[str]) -> str:
    """The name, with a number if it is taken, whatever its case; taken from now on."""
    name, number = wanted, 1
    while name.casefold() in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name.casefold())
    return name


def find_images(images: Iterable[str], out: Path) -> list[Source]:
    """The images, each once, with a name of its own; in a folder, those that its files' suffixes say are images.

    Raises:
        InputError: a folder has no image, or it is the output folder.
    """
    given: dict[str, str] = {}  # what → wanted name
    for image in images:
        if is_url(image):
            last = unquote(re.split(r"[?#]", image)[0].rpartition("/")[2])
            given.setdefault(image, re.sub(r"[^\w .()-]+", "_", Path(last).stem) or "image")
            continue
        path = Path(image)
        if not path.is_dir():
            given.setdefault(image, path.stem)
            continue
        if out.resolve() in (path.resolve(), *path.resolve().parents):
            raise InputError(f"{out}: that is where the images are; name another folder for the masks")
        below = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
        # A second run does not take the masks of the first for images.
        below = [file for file in below if out.resolve() not in file.resolve().parents]
        if not below:
            raise InputError(f"{path}: no image in this folder ({', '.join(sorted(SUFFIXES))})")
        for file in below:
            given.setdefault(str(file), str(file.relative_to(path).with_suffix("")))
    taken: set[str] = set()
    folders = {what: wanted.rpartition("/") for what, wanted in given.items()}
    return [
        Source(what, _untaken(f"{above}{sign}{_cut(name)}", taken)) for what, (above, sign, name) in folders.items()
    ]


def _cut(name: str) -> str:
    """As much of a name as fits in `NAME_BYTES`, and what is no UTF-8 as `?`."""
    return name.encode(errors="replace")[:NAME_BYTES].decode(errors="ignore")


def image_ids(sources: Sequence[Source]) -> dict[Source, int | str]:
    """COCO's ids: the number that each name is (`000000000139.jpg`), or the name if not all are different numbers."""
    names = [Path(source.name).name for source in sources]
    if all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        return {source: int(name) for source, name in zip(sources, names, strict=True)}
    return {source: source.name for source in sources}


def is_url(image: str) -> bool:
    """Whether it is to be fetched."""
    return image.startswith(("http://", "https://"))
