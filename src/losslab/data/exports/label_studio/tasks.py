"""The file that Label Studio exports as "JSON": which task is of which image, and what was drawn on it."""

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from msgspec import Meta, Raw, Struct

from losslab.data.exports.image_names import SUFFIXES
from losslab.errors import InputError

MAX_BYTES = 1 << 31
UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded."""


class Value(Struct):
    """What a region is: corners in per cent of width and height, or a brush stroke (see `brush`); and its labels."""

    points: list[tuple[float, float]] | None = None
    rle: list[Annotated[int, Meta(ge=0, le=255)]] | None = None
    polygonlabels: list[str] = []
    brushlabels: list[str] = []
    labels: list[str] = []

    @property
    def names(self) -> list[str]:
        return [*self.polygonlabels, *self.brushlabels, *self.labels]


class _Result(Struct):
    type: str
    value: Raw = Raw(b"{}")
    image_rotation: float = 0


class _Annotation(Struct):
    result: list[_Result]
    was_cancelled: bool = False
    ground_truth: bool = False
    updated_at: str = ""


class _Task(Struct):
    id: int
    data: dict[str, Any]
    annotations: list[_Annotation]


class Task(Struct):
    """A task that somebody submitted: its number, the path of its image as Label Studio has it, and its regions, each
    a `Value` that is not decoded."""

    number: int
    image: str
    regions: list[Raw]


class Export(Struct):
    """What a file of tasks says: those with a submitted annotation, all labels of their regions, sorted, and counts."""

    tasks: list[Task]
    labels: list[str]
    left_out: dict[str, int]
    """Reason → tasks: nobody submitted an annotation, or the image was turned in Label Studio."""
    several_annotations: int
    """Tasks of which one annotation was chosen: the ground truth, else the one changed last."""
    other_regions: dict[str, int]
    """Kind → regions that are no polygons and no strokes, such as rectangles."""


def read_export(path: Path, location: str) -> Export:
    """Read and check an export; `location` is what the file is called in errors.

    Raises:
        InputError: it is not of this format, a task has no image, or nothing that was drawn has an area.
    """
    if not path.is_file():
        raise InputError(f"{location}: not found")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{location}: has more than {MAX_BYTES >> 20} MiB: refused")
    try:
        tasks = msgspec.json.decode(path.read_bytes(), type=list[_Task])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f'{location}: not what Label Studio exports as "JSON": {error}') from None
    export = Export([], [], {}, 0, {})
    left_out, others = Counter[str](), Counter[str]()
    labels: set[str] = set()
    for task in tasks:
        where = f"{location}: task {task.id}"
        image = _image(task, where)
        submitted = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        if not submitted:
            left_out["not_annotated"] += 1
            continue
        export.several_annotations += len(submitted) > 1
        results = max(submitted, key=lambda each: (each.ground_truth, each.updated_at)).result
        regions = []
        for result in results:
            names, drawn = _labelled(result, where)
            if drawn:
                regions.append(result)
                labels.update(names)
            elif names:
                others[result.type] += 1
        if any(region.image_rotation % 360 for region in regions):
            left_out["turned"] += 1
            continue
        export.tasks.append(Task(task.id, image, [region.value for region in regions]))
    if not any(task.regions for task in export.tasks):
        counts = "".join(f"; {count} {kind}" for kind, count in others.items())
        raise InputError(f"{location}: none of {len(tasks)} tasks has a polygon or a brush stroke with a label{counts}")
    export.labels, export.left_out, export.other_regions = sorted(labels), dict(left_out), dict(others)
    return export


def _labelled(result: _Result, where: str) -> tuple[list[str], bool]:
    """The labels of a result, none where it is no labelled region, and whether it is a polygon or a stroke."""
    if not result.type.endswith("labels"):
        return [], False
    try:
        value = msgspec.json.decode(result.value, type=Value)
    except msgspec.DecodeError as error:
        raise InputError(f"{where}: a region of type {result.type}: {error}") from None
    drawn = value.points is not None or value.rle is not None
    return value.names or ([] if drawn else [result.type]), drawn and bool(value.names)


def _image(task: _Task, where: str) -> str:
    """The path of the task's image, of whatever address it has."""
    paths = []
    for text in task.data.values():
        if isinstance(text, str):
            try:
                address = urlsplit(text.strip())
            except ValueError:
                continue
            # Images on a disk that Label Studio serves have their path in the query.
            [path] = parse_qs(address.query).get("d", [unquote(address.path)])[:1]
            path = path.replace("\\", "/").lstrip("/")
            if PurePosixPath(path).suffix.lower() in SUFFIXES:
                paths.append(path)
    if len(set(paths)) != 1:
        raise InputError(f"{where}: {len(paths)} images in its data, one is wanted: {str(task.data)[:100]}")
    return paths[0]


def images_of(tasks: list[Task], names: list[str], location: str) -> list[str]:
    """For each task the file among `names` with the longest common end of the path; where there is none, the name that
    it should have.

    Raises:
        InputError: two files fit a task alike, two tasks are of one file, or no task has its file.
    """
    by_name: dict[str, list[str]] = {}
    for name in names:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    images, owners = [], dict[str, int]()
    for task in tasks:
        own = PurePosixPath(task.image).name
        fitting = by_name.get(own) or by_name.get(UPLOADED.sub("", own, count=1)) or []
        common = {name: _common_end(name, task.image) for name in fitting}
        best = [name for name in fitting if common[name] == max(common.values())]
        if len(best) > 1:
            raise InputError(f"{location}: task {task.number} may be of {best[0]} or {best[1]}; remove one of them")
        image = best[0] if best else own
        if best and owners.setdefault(image, task.number) != task.number:
            raise InputError(f"{location}: tasks {owners[image]} and {task.number} are both of {image}; remove one")
        images.append(image)
    if tasks and not owners:
        raise InputError(f"{location}: holds none of the images, such as {images[0]}")
    return images


def _common_end(one: str, other: str) -> int:
    """Names of folders before the file that two paths have in common."""
    folders = zip(reversed(one.split("/")[:-1]), reversed(other.split("/")[:-1]), strict=False)
    count = 0
    for mine, theirs in folders:
        if mine != theirs:
            break
        count += 1
    return count
