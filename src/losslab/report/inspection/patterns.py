"""Which images have which mask files, by their names: the patterns that the kind `mask_folder` reads."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from losslab.data.exports.image_names import SUFFIXES
from losslab.data.sources.archives import MAX_FILE, Files

SPLIT_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
SPLIT = re.compile(r"(?<![a-z])(training|train|validation|valid|val|testing|test)(?=$|[/_-]|annot|mask|label)")
MOST_VALUES = 254
LOOKED_AT = 3


@dataclass(frozen=True)
class Paired:
    """Patterns of images and of masks, what their splits are called, and the names of the masks."""

    image_names: str
    mask_names: str
    splits: dict[str, str]
    masks: list[str]


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES | {".gif"}


def paired(files: Files, names: Sequence[str]) -> Paired | None:
    """The pair of patterns that fits most images; none: no two do."""
    groups: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
    for name in names:
        path = PurePosixPath(name)
        folder = f"{path.parent}/" if str(path.parent) != "." else ""
        match = SPLIT.search(folder)
        split, place, inner = "", folder, ""
        if match:
            split, rest = match[1], folder[match.end() :]
            # train/images and train/masks are two places; train/aachen and train/bochum are one.
            kept = re.match(r"[^/]*/(?:[^/]*(?:im(?:age|g)|mask|label|annot|seg)[^/]*/)*", rest)
            inner = rest[kept.end() :] if kept else rest
            place = f"{folder[: match.start()]}{{split}}{rest[: kept.end()] if kept else ''}"
        groups.setdefault((place, path.suffix), {}).setdefault(split, []).append((inner + path.stem, name))
    best: tuple[int, Paired] | None = None
    candidates = [*permutations(groups, 2), *((group, group) for group in groups)]
    for images, masks in candidates:
        fit = _fit(files, images, masks, groups[images], groups[masks])
        if fit and (best is None or fit[0] > best[0]):
            best = fit
    return best[1] if best else None


def _fit(
    files: Files,
    image_place: tuple[str, str],
    mask_place: tuple[str, str],
    images: dict[str, list[tuple[str, str]]],
    masks: dict[str, list[tuple[str, str]]],
) -> tuple[int, Paired] | None:
    """How many images have a mask by the endings of their names, and the patterns; none if no image has one."""
    shared = [split for split in images if split in masks]
    if not shared:
        return None
    of_images, of_masks = ({stem for s in shared for stem, _ in each[s]} for each in (images, masks))
    endings = _endings(of_images, of_masks, image_place == mask_place)
    if endings is None:
        return None
    ours, theirs = endings
    held = {(split, stem): name for split in shared for stem, name in masks[split]}
    names = [
        (name, held[split, stem.removesuffix(ours) + theirs])
        for split in shared
        for stem, name in images[split]
        if stem.endswith(ours) and (split, stem.removesuffix(ours) + theirs) in held
    ]
    if not names or not _are_masks(files, names):
        return None
    splits = {own: word for own, words in SPLIT_WORDS.items() for word in shared if word in words}
    patterns = [f"{place}{{id}}{end}{suffix}" for (place, suffix), end in ((image_place, ours), (mask_place, theirs))]
    if "{split}" in patterns[0] and "train" not in splits:
        return None
    return len(names), Paired(patterns[0], patterns[1], splits, [mask for _, mask in names])


def _endings(images: set[str], masks: set[str], together: bool) -> tuple[str, str] | None:
    """What stands behind the id in the images' names and in the masks', most often."""
    counts: Counter[tuple[str, str]] = Counter()
    ordered = sorted(masks)
    for stem in sorted(images)[:50]:
        for other in (stem, *(mask for mask in ordered if mask != stem and mask.startswith(stem[:3]))):
            if other not in masks or (together and other == stem):
                continue
            common = next(
                (k for k, (a, b) in enumerate(zip(stem, other, strict=False)) if a != b), min(len(stem), len(other))
            )
            if not common or re.match(r"\d", stem[common:]) or re.match(r"\d", other[common:]):
                continue  # two ids, such as 1 and 10
            common = len(stem[:common].rstrip("_-")) if stem != other else common
            counts[stem[common:], other[common:]] += 1
    # Where an image has several files of labels, those that are called so.
    return max(counts, key=lambda ends: (counts[ends], "label" in ends[1].lower()), default=None)


def _are_masks(files: Files, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether the second of each pair has few values, and fewer than the first."""
    values = [
        (_values(files, image), _values(files, mask))
        for image, mask in pairs[:: max(1, len(pairs) // LOOKED_AT)][:LOOKED_AT]
    ]
    known = [(image, mask) for image, mask in values if image and mask]
    return bool(known) and all(mask <= MOST_VALUES and mask < image for image, mask in known)


def _values(files: Files, name: str) -> int:
    """How many grey levels or colours an image has; 0: it cannot be read."""
    try:
        with Image.open(io.BytesIO(files.read(name, MAX_FILE))) as image:
            grey = image.mode in {"L", "P", "1", "I;16", "I"}
            pixels = np.asarray(image if grey else image.convert("RGB"))
    except Exception:  # hostile files make Pillow raise almost anything
        return 0
    return len(np.unique(pixels if grey else pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)))
