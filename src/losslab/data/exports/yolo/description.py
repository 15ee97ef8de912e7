"""`data.yaml`: the names of the classes, and for each split where its images are, and with them their polygons."""

import posixpath
from pathlib import PurePosixPath
from typing import Any

import msgspec
import yaml

from losslab.data.exports.image_names import SUFFIXES
from losslab.data.sources.archives import Files
from losslab.errors import InputError, did_you_mean, visible
from losslab.settings.schema import refuse_bomb

MAX_TEXT = 1 << 26  # bytes of a description, or of a list of images
KEYS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


class Labelled(msgspec.Struct):
    """An image, and the file of its polygons, empty where there is none; names in the source."""

    image: str
    labels: str


def read_description(files: Files, name: str) -> tuple[tuple[str, ...], dict[str, list[Labelled]]]:
    """The classes, and split → its images, of the splits that the source has.

    Raises:
        InputError: there is no such file, or it is not of this format; a split has no image, or shares one with
            another.
    """
    names = files.names()
    place = next((each for each in names if each == name or each.endswith(f"/{name}")), None)
    if place is None:
        raise InputError(f"{files.location}: holds no {name}; {did_you_mean(name, names[:20])}")
    where = f"{files.location}: {place}"
    content = _content(files, place, where)
    classes = _classes(content.get("names"), where)
    held = set(names)
    splits: dict[str, list[Labelled]] = {}
    owners: dict[str, str] = {}
    for split, keys in KEYS.items():
        entry = next((content[key] for key in keys if content.get(key)), None)
        if entry is None:
            continue
        images = sorted(_images(files, held, entry, PurePosixPath(place).parent, str(content.get("path") or ""), where))
        if not images:
            raise InputError(f"{where}: {split}: {visible(str(entry))} has no image in {files.location}")
        for image in images:
            if (other := owners.setdefault(image, split)) != split:
                raise InputError(f"{where}: {image} is in {other} and in {split}")
        splits[split] = [Labelled(image, labels if (labels := _labels(image)) in held else "") for image in images]
    if "train" not in splits:
        raise InputError(f"{where}: train: missing; it says where the training images are")
    if not any(image.labels for image in splits["train"]):
        raise InputError(
            f"{where}: none of the training images has labels; {_labels(splits['train'][0].image)} is missing"
        )
    return classes, splits


def _content(files: Files, place: str, where: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(files.read(place, MAX_TEXT))
        refuse_bomb(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{where}: has no names and no train")
    return content


def _classes(names: Any, where: str) -> tuple[str, ...]:
    if isinstance(names, dict) and sorted(map(str, names)) == sorted(map(str, range(len(names)))):
        by_number = {int(number): name for number, name in names.items()}
        names = [by_number[number] for number in range(len(by_number))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise InputError(f"{where}: names: neither a list of the classes nor a mapping from 0, 1, … to them")
    classes = tuple(str(name) for name in names)
    if len(set(classes)) < len(classes):
        raise InputError(f"{where}: names: a class is named twice")
    if odd := [name for name in classes if visible(name) != name]:
        raise InputError(f"{where}: names: a class's name has control characters: {odd[0]!r}")
    return classes


def _images(files: Files, held: set[str], entry: Any, base: PurePosixPath, root: str, where: str) -> set[str]:
    """The images of a split, given as a folder, a text file that lists images, or a list of these."""
    entries = entry if isinstance(entry, list) else [entry]
    images: set[str] = set()
    for each in map(str, entries):
        for folder in (base / root, base):
            # Exports give paths from where they were trained, such as ../train/images.
            place = posixpath.normpath(str(folder / each)).lstrip("/")
            while place.startswith("../"):
                place = place.removeprefix("../")
            if place in held and place.endswith(".txt"):
                lines = files.read(place, MAX_TEXT).decode("utf-8", errors="replace").split("\n")
                listed = [posixpath.normpath(str(folder / line.strip())) for line in lines if line.strip()]
                lacking = [name for name in listed if name not in held]
                if lacking:
                    raise InputError(
                        f"{where}: {visible(each)} lists {visible(lacking[0])}, which {files.location} lacks"
                    )
                images.update(listed)
                break
            inside = {n for n in held if place == "." or n.startswith(f"{place}/")}
            pictures = {name for name in inside if PurePosixPath(name).suffix.lower() in SUFFIXES}
            if pictures:
                images |= pictures
                break
    return images


def _labels(image: str) -> str:
    """Where the polygons of an image are: `labels` in place of the last `images` among its folders."""
    *folders, name = image.split("/")
    if "images" in folders:
        folders[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return "/".join([*folders, f"{PurePosixPath(name).stem}.txt"])
