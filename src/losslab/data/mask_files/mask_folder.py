"""Images and mask files that belong together by their names, from folders, archives or URLs of archives.

Two patterns say which files they are: `train/{id}.jpg` and `train_masks/{id}_mask.gif`. `{id}` is any text, the same in
both; `{split}` is a split's name; `*` is any text within a name. A mask file is binary or a label map (see
`losslab.data.mask_files.label_maps`).

An image without a mask is left out and counted as `no_mask`, a mask without an image only counted. A pair that cannot
be read, or whose image and mask differ in size, is left out and listed. A label that is neither a class, nor
background, nor void is an error: a data set in which a class was forgotten trains without complaint.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from losslab.data.dataset import Dataset
from losslab.data.extraction import FileOptions
from losslab.data.mask_files.label_maps import Label, Labels, forms
from losslab.data.mask_files.pairs import Pair, Pairs, PairSplit, write_pairs
from losslab.data.sources.archives import Files, open_files
from losslab.data.sources.downloads import Downloads
from losslab.data.splits import SPLITS, Draws, write_selection
from losslab.data.tensors import BACKGROUND, VOID
from losslab.errors import InputError
from losslab.settings.schema import invalid

MAX_LIST = 1 << 26  # bytes
FIELDS = r"\{id\}|\{split\}|\*"


def _is_pattern(text: str) -> str:
    if "{id}" not in text or re.search(r"[{}]", re.sub(FIELDS, "", text)):
        raise ValueError("not a pattern with {id}, which may also have {split} and *")
    return text


Pattern = Annotated[str, AfterValidator(_is_pattern)]


class Download(Draws):
    """Where images and masks are, and which of them is in which split."""

    images: str
    """A folder, a zip or tar archive, or the URL of an archive."""
    images_sha256: str | None = None
    image_names: Pattern
    """The images' names in there: a pattern with `{id}`, and with `{split}` where the source has splits."""
    masks: str | None = None
    """Where the masks are; none: where the images are."""
    masks_sha256: str | None = None
    mask_names: Pattern
    """The masks' names: a pattern with `{id}`, and perhaps `{split}`."""
    lists: str | None = None
    """Where names have no `{split}`: text files beside images or masks that name the images of each split, such as
    `ImageSets/Segmentation/{split}.txt`; of each line the first word is an `{id}`."""
    train: str | None = None
    """What `{split}` stands for, in names `*` for any text; needed if `image_names` or `lists` has `{split}`."""
    val: str | None = None
    """The same; none: `val_share` of the training images that have a mask, drawn by the seed."""
    test: str | None = None

    @model_validator(mode="after")
    def _patterns_agree(self) -> "Download":
        if self.lists is not None and ("{split}" not in self.lists or "{split}" in self.image_names):
            raise invalid("lists", "needs {split}, which then stands in no name of an image", self.lists)
        if "{split}" in self.image_names or self.lists is not None:
            if self.train is None:
                raise invalid("train", "missing; name the source's training split", None)
        elif "{split}" in self.mask_names or any((self.train, self.val, self.test)):
            raise invalid("image_names", "has no place for a split, but splits are named", self.image_names)
        return self


class Extract(FileOptions):
    """How images and mask files become tensors."""

    classes: Annotated[dict[str, Label], Field(min_length=1)]
    """Name → what it looks like in a mask: the id in a label map (palette index or grey level), a colour `"#rrggbb"`,
    or `nonzero` in binary masks: whatever is not black."""
    background: tuple[Label, ...] | Literal["rest"] | None = None
    """Labels that are background; `rest`: all that are neither class nor void, counted; none: 0 or black unless that is
    a class or void. With two classes or more background is a class too, the first, unless this is an empty list."""
    void: tuple[Label, ...] = ()
    """Labels of what is unknown: never trained on and never scored."""

    @model_validator(mode="after")
    def _labels_agree(self) -> "Extract":
        labels = list(self.classes.values())
        if len(forms(labels)) > 1 or ("nonzero" in labels and len(labels) > 1):
            raise invalid("classes", "ids, or colours, or one class that is nonzero; not a mixture", self.classes)
        background = () if self.background in (None, "rest") else self.background
        for option, others in (("background", background), ("void", self.void)):
            if others and forms(others) != forms(labels):
                raise invalid(option, "is not in the form of the classes' labels", others)
        twice = [label for label, count in Counter([*labels, *background, *self.void]).items() if count > 1]
        if twice:
            raise invalid("classes", f"the label {twice[0]} is given twice", self.classes)
        names = self.labels.names(tuple(self.classes))
        if len(set(names)) < len(names):
            raise invalid("classes", f"{BACKGROUND} is what the labels under background become", self.classes)
        if len(names) > VOID:
            raise invalid("classes", f"{len(names)} are more than {VOID} classes", None)
        return self

    @property
    def labels(self) -> Labels:
        labels = tuple(self.classes.values())
        background = self.background
        if background is None:
            background = (0,) if isinstance(labels[0], int) else ("#000000",)
            background = tuple(label for label in background if label not in (*labels, *self.void))
        return Labels(labels, background, self.void)


class MaskFolder(Dataset):
    """Images with a mask file each, found by their names."""

    download: Download
    extract: Extract

    def fetch(self, raw: Path) -> None:
        options = self.download
        with Downloads.open() as downloads:
            images = open_files(downloads.file(options.images, options.images_sha256), options.images)
            masks = images
            if options.masks is not None and options.masks != options.images:
                masks = open_files(downloads.file(options.masks, options.masks_sha256), options.masks)
            selection = select(options, images, masks)
            pairs = [pair for split in selection.splits.values() for pair in split.pairs]
            images.copy({pair.image: raw / "images" / pair.image for pair in pairs})
            masks.copy({pair.mask: raw / "masks" / pair.mask for pair in pairs})
        write_selection(raw, selection)

    def write_tensors(self, raw: Path, out: Path) -> None:
        options = self.extract
        write_pairs(raw, out, "mask_folder", tuple(options.classes), options.labels, options)


class _Key(NamedTuple):
    split: str  # empty where the names have none
    id: str


def select(options: Download, images: Files, masks: Files) -> Pairs:
    """Which image goes with which mask into which split.

    Raises:
        InputError: a pattern fits no file, or two files of one name; an image is in two splits, or a split is empty.
    """
    mask_of = _named(options.mask_names, masks.names(), "mask_names", masks.location)
    # In one place `{id}.png` fits masks too, such as `1_mask.png`.
    theirs = set(mask_of.values()) if images is masks else set()
    image_of = _named(options.image_names, [n for n in images.names() if n not in theirs], "image_names",
                      images.location)  # fmt: skip
    keys = sorted(image_of)
    with_split = "{split}" in options.mask_names
    mask_key = {key: key if with_split else _Key("", key.id) for key in keys}
    paired = [key for key in keys if mask_key[key] in mask_of]
    if not paired:
        raise InputError(
            f"{masks.location}: no image has a mask: there is {next(iter(image_of.values()))},"
            f" and {next(iter(mask_of.values()))}; see download.mask_names"
        )
    if options.lists is None:
        origin = {key: _split(options, key.split) for key in paired}
    else:
        listed = _listed(options, options.lists, {key.id for key in keys}, (masks, images))
        origin = {key: listed.get(key.id) for key in paired}
    qualifying = {
        split: np.array([index for index, key in enumerate(paired) if origin[key] == split], np.int64)
        for split in SPLITS
        if split == "train" or getattr(options, split) is not None
    }
    splits = {}
    for split, (source, chosen, over) in options.draw(qualifying).items():
        if not len(chosen):
            raise InputError(
                f"{images.location}: no image is left for {split}: {len(paired)} of {len(keys)} have a mask, and"
                f" {', '.join(f'{len(indices)} are of {name}' for name, indices in qualifying.items())}; see download"
            )
        pairs = [Pair(image_of[key], mask_of[mask_key[key]]) for key in (paired[index] for index in chosen)]
        splits[split] = PairSplit(getattr(options, source) or "", pairs, {"not_drawn": len(over)} if len(over) else {})
    # What is in no split is counted once, under train.
    for reason, count in (
        ("no_mask", len(keys) - len(paired)),
        ("other_split", sum(split is None for split in origin.values())),
    ):
        if count:
            splits["train"].left_out[reason] = count
    return Pairs(len(keys), len(mask_of), splits)


def _named(pattern: str, names: list[str], option: str, location: str) -> dict[_Key, str]:
    """(split, id) → name, of the names that fit the pattern."""
    expression, seen = "", set()
    for part in re.split(f"({FIELDS})", pattern):
        name = part.strip("{}")
        if part == "*":
            expression += "[^/]*"
        elif name in {"id", "split"} and part != name:
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>{'.+' if name == 'id' else '[^/]+?'})"
            seen.add(name)
        else:
            expression += re.escape(part)
    fitting: dict[_Key, str] = {}
    for text in names:
        if match := re.fullmatch(expression, text):
            key = _Key(match["split"] if "split" in seen else "", match["id"])
            if key in fitting:
                raise InputError(
                    f"{location}: {fitting[key]} and {text} are both {key.id!r} to download.{option} {pattern!r}"
                )
            fitting[key] = text
    if not fitting:
        held = ", ".join(names[:3]) or "nothing"
        raise InputError(f"{location}: no file fits download.{option} {pattern!r}; it holds {held}")
    return fitting


def _split(options: Download, text: str) -> str | None:
    """The split that the text in place of `{split}` stands for."""
    if "{split}" not in options.image_names:
        return "train"
    fitting = [
        split
        for split in SPLITS
        if (wanted := getattr(options, split)) is not None
        and re.fullmatch("[^/]*".join(map(re.escape, wanted.split("*"))), text)
    ]
    if len(fitting) > 1:
        raise InputError(f"download.{fitting[0]} and download.{fitting[1]} both fit the split {text!r}")
    return fitting[0] if fitting else None


def _listed(options: Download, lists: str, ids: set[str], places: tuple[Files, ...]) -> dict[str, str]:
    """Id → the split whose list has it."""
    owners: dict[str, str] = {}
    for split in SPLITS:
        if (source := getattr(options, split)) is None:
            continue
        name = lists.replace("{split}", source)
        files = next((files for files in places if name in files.names()), None)
        if files is None:
            raise InputError(f"{places[0].location}: holds no {name}; see download.lists")
        for line in files.read(name, MAX_LIST).decode("utf-8-sig", errors="replace").splitlines():
            entry = line.strip().strip('"')
            image = entry if entry in ids else entry.split()[0] if entry else ""
            if image and image not in ids:
                raise InputError(f"{files.location}: {name} lists {image}, of which there is no image")
            if image and owners.setdefault(image, split) != split:
                raise InputError(f"{files.location}: {name} lists {image}, which is in {owners[image]} too")
    return owners
