"""Which format a folder, archive or file has, and the entry of params.yaml that reads it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from losslab.data.exports.label_studio.tasks import read_export
from losslab.data.sources.archives import Files, open_files
from losslab.errors import InputError
from losslab.report.inspection.mask_labels import LABEL_MAP, label_map, proposed_labels
from losslab.report.inspection.patterns import is_image, paired

MAX_JSON = 1 << 30  # bytes
SPLIT_OF = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class Proposal:
    """A format in words, and the entry that reads it: its kind, and the sections `download` and `extract`."""

    format: str
    kind: str
    download: dict[str, Any]
    extract: dict[str, Any]


def recognise(folder: Path, location: str) -> Proposal:
    """What is in a folder; `location` is what the entry calls it.

    Raises:
        InputError: it is of no format that is known.
    """
    files = open_files(folder, location)
    names = files.names()
    for name in names:
        if (own := PurePosixPath(name).name) in ("data.yaml", "data.yml", "dataset.yaml"):
            download = {"source": location} | ({} if own == "data.yaml" else {"description": own})
            return Proposal("YOLO, polygons", "yolo", download, {})
    tasks = [name for name in names if name.endswith(".json") and _is_list(files.read(name, MAX_JSON))]
    if tasks:
        if not Path(location).is_dir():
            raise InputError(f"{location}: unpack it: tasks and images in one archive are not read")
        return _label_studio(Path(location, tasks[0]), folder / tasks[0], location)
    documents = {name: text for name in names if name.endswith(".json") and (text := files.read(name, MAX_JSON))}
    outlined = {name: _json(text, name) for name, text in documents.items() if b'"annotations"' in text}
    if outlined:
        if not Path(location).is_dir():
            raise InputError(f"{location}: unpack it: outlines and images in one archive are not read")
        return _coco({str(Path(location, name)): content for name, content in outlined.items()}, files)
    return _masks(files, names)


def recognise_outlines(file: Path) -> Proposal:
    """What an annotation file is, with images below its folder.

    Raises:
        InputError: there is no such file, it is of another format, or its images are not there.
    """
    if not file.is_file():
        raise InputError(f"{file}: not found")
    if _is_list(file.read_bytes()):
        return _label_studio(file, file, str(file.parent))
    return _coco({str(file): _json(file.read_bytes(), str(file))}, open_files(file.parent, str(file.parent)))


def _is_list(text: bytes) -> bool:
    """Whether a JSON file is a list, as one of Label Studio's tasks is."""
    return text.lstrip()[:1] == b"[" and b'"annotations"' in text


def _label_studio(name: Path, file: Path, images: str) -> Proposal:
    """The entry for a file of tasks, called `name`, and a folder with their images."""
    return Proposal(
        "Label Studio, polygons and brush strokes",
        "label_studio",
        {"annotations": str(name), "images": images},
        {"classes": read_export(file, str(name)).labels},
    )


def _json(text: bytes, name: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
            return content
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: no JSON: {error}") from None
    raise InputError(f"{name}: not in COCO's format: it needs images, annotations and categories")


def _coco(documents: Mapping[str, dict[str, Any]], files: Files) -> Proposal:
    """The entry for files of annotations, one for each split or one for all, and images in `files`."""
    by_split = {
        split: name
        for split, words in SPLIT_OF.items()
        for name in documents
        if any(w in Path(name).stem for w in words)
    }
    first = by_split.get("train", next(iter(documents)))
    content = documents[first]
    used = {annotation.get("category_id") for annotation in content["annotations"]}
    classes = [str(category["name"]) for category in content["categories"] if category.get("id") in used]
    if not classes:
        raise InputError(f"{first}: has no annotation of any of its categories")
    picture = str(content["images"][0].get("file_name")) if content["images"] else "no image"
    folder = next((n.removesuffix(picture) for n in files.names() if f"/{n}".endswith(f"/{picture}")), None)
    if folder is None:
        raise InputError(f"{first}: {picture} is nowhere in {files.location}")
    sources = {split: Path(name).stem.removeprefix("instances_") for split, name in by_split.items()}
    download: dict[str, Any] = {"annotations": files.location, "images": files.location, **sources}
    if not (
        len(sources) > 1
        and all(name.endswith(f"annotations/instances_{sources[s]}.json") for s, name in by_split.items())
    ):
        download = {"annotations": first, "images": f"{files.location}/{folder}".rstrip("/"), "train": "all"}
    return Proposal(
        "COCO, outlines", "coco", download | {"classes": classes, "instances": "all"}, {"planes": "per_class"}
    )


def _masks(files: Files, names: Sequence[str]) -> Proposal:
    """The entry for images with a mask file each."""
    pictures = [name for name in names if is_image(name)]
    if not pictures:
        raise InputError(
            f"{files.location}: holds no images: neither a data.yaml, nor outlines in JSON, nor images with masks"
        )
    pairs = paired(files, pictures)
    if pairs is None:
        raise InputError(
            f"{files.location}: holds {len(pictures)} images, such as {pictures[0]}, and no mask files that belong to"
            " them by name"
        )
    legend = next((name for name in names if PurePosixPath(name).name == LABEL_MAP), None)
    named = label_map(files, legend) if legend else {}
    form, extract = proposed_labels(files, pairs.masks, named)
    download: dict[str, Any] = {
        "images": files.location,
        "image_names": pairs.image_names,
        "mask_names": pairs.mask_names,
    }
    listed = [name for name in names if re.fullmatch(r"ImageSets/Segmentation/(train|val|test)\.txt", name)]
    if "ImageSets/Segmentation/train.txt" in listed and not pairs.splits:
        download["lists"] = "ImageSets/Segmentation/{split}.txt"
        download |= {word: word for word in (PurePosixPath(name).stem for name in listed)}
    return Proposal(
        f"mask files, {form}{f', named by {LABEL_MAP}' if named else ''}",
        "mask_folder",
        download | pairs.splits,
        extract,
    )
