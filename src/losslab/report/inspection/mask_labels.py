"""Which labels mask files have: palette indices, grey levels or colours, and what they are called."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from losslab.data.sources.archives import MAX_FILE, Files
from losslab.data.tensors import VOID
from losslab.errors import InputError

LABEL_MAP = "labelmap.txt"
LOOKED_AT, MOST_LABELS = 300, 254


def label_map(files: Files, name: str) -> dict[str, str]:
    """Class → colour, of a label map as CVAT exports it: lines such as `car:255,0,0::`.

    Raises:
        InputError: a line is none of these.
    """
    colours: dict[str, str] = {}
    for index, line in enumerate(files.read(name, 1 << 20).decode("utf-8-sig", errors="replace").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        label, _, rest = line.partition(":")
        channels = rest.partition(":")[0].split(",")
        if len(channels) != 3 or not all(c.strip().isdecimal() and int(c) < 256 for c in channels):
            raise InputError(f"{files.location}: {name}: line {index}: not `label:red,green,blue::`: {line[:60]!r}")
        colours[label.strip()] = "#" + "".join(f"{int(channel):02x}" for channel in channels)
    return colours


def proposed_labels(files: Files, masks: Sequence[str], named: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The form of the labels in words, and `classes`, `background` and `void` for the entry.

    Raises:
        InputError: the masks have too many values to be labels, or show nothing but one.
    """
    numbers, colours = _values(files, masks)
    if named or not numbers:
        background = named.get("background", "#000000")
        names = {colour: label for label, colour in named.items() if colour != background}
        labels = [c for c in [*names, *colours] if c != background]
        unique = list(dict.fromkeys(labels))
        classes: dict[str, Any] = {names.get(c, f"class_{k}"): c for k, c in enumerate(unique, start=1)}
        extract: dict[str, Any] = {"classes": classes}
        if background != "#000000" or background not in colours:
            extract["background"] = [background] if background in colours else []
        return f"{len(classes)} colours", _checked(extract, masks)
    void = [VOID] if VOID in numbers and len(numbers) > 2 else []
    labels_of_classes = [value for value in sorted(numbers) if value not in (0, *void)]
    if len(numbers) <= 2 and 0 in numbers and not void:
        return "black and white", _checked({"classes": {"object": "nonzero"} if labels_of_classes else {}}, masks)
    extract = {"classes": {f"class_{value}": value for value in labels_of_classes}}
    if 0 not in numbers:
        extract["background"] = []
    if void:
        extract["void"] = void
    return f"{len(labels_of_classes)} labels", _checked(extract, masks)


def _checked(extract: dict[str, Any], masks: Sequence[str]) -> dict[str, Any]:
    if not 1 <= len(extract["classes"]) <= MOST_LABELS:
        many = len(extract["classes"])
        raise InputError(
            f"{masks[0]} and others have {many or 'no'} labels: "
            + ("too many; JPEG and smoothing make values that mean nothing" if many else "all masks are black")
        )
    return extract


def _values(files: Files, masks: Sequence[str]) -> tuple[Counter[int], Counter[str]]:
    """How often each number, or each colour, is in masks spread over all; of the two one is empty."""
    numbers: Counter[int] = Counter()
    colours: Counter[str] = Counter()
    for name in masks[:: max(1, len(masks) // LOOKED_AT)]:
        try:
            with Image.open(io.BytesIO(files.read(name, MAX_FILE))) as image:
                grey = image.mode in {"L", "P", "1", "I", "I;16"}
                pixels = np.asarray(image if grey else image.convert("RGB"))
        except Exception:  # hostile files make Pillow raise almost anything; extraction will count them
            continue
        if not grey and (pixels == pixels[..., :1]).all():
            grey, pixels = True, pixels[..., 0]
        if grey:
            numbers.update(dict(zip(*(each.tolist() for each in np.unique(pixels, return_counts=True)), strict=True)))
            continue
        packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        values, counts = np.unique(packed, return_counts=True)
        colours.update({f"#{value:06x}": int(count) for value, count in zip(values, counts, strict=True)})
    if colours:
        colours.update({f"#{value:02x}{value:02x}{value:02x}": count for value, count in numbers.items()})
        numbers.clear()
    return numbers, colours
