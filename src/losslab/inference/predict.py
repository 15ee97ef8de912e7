"""Masks of photographs: from a model file and images of any size to PNG and JSON files.

A photograph is reduced to the size that the network was trained on, as training images were; the probabilities are
enlarged to the photograph's size (bilinear) and then compared with the threshold. For an image `NAME` the output
folder gets

- `NAME.mask.png`: 0 and 255 if the model knows one class; else the number of the class, from 1 in the model's order,
  0 for none, with a palette. Where several classes claim a pixel, the most probable has it.
- `NAME.CLASS.png` on request: each class by itself, 0 and 255, overlaps and all.
- `NAME.overlay.png`: the classes over the photograph.
- `NAME.compare.png` if models are compared: the overlay of each, side by side.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from losslab.data.photos import MAX_PIXELS, Unusable, read_photo
from losslab.data.sources.http import Fetcher, Patience
from losslab.errors import InputError
from losslab.inference import devices, forward, model_file
from losslab.inference.model_file import Model
from losslab.inference.overlays import ClassNumbers, Pixels, class_colours, mask_image, overlay, side_by_side
from losslab.results.files import atomic_file, write_json

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
BATCH_IMAGES, BATCH_PIXELS = 16, 50_000_000
REASONS = {
    "missing": "not found",
    "empty_file": "the file is empty",
    "not_an_image": "not an image that can be read (JPEG, PNG, WebP, BMP, TIFF or GIF)",
    "too_large": f"more than {MAX_PIXELS // 10**6} million pixels",
    "damaged": "damaged, or cut short",
}


@dataclass(frozen=True)
class Source:
    """One image: what the user called it, and the name of its outputs below the output folder."""

    given: str
    name: str


@dataclass(frozen=True)
class Segmenter:
    """A model ready to use, and what to call it."""

    model: Model
    label: str
    dtype: torch.dtype
    threshold: float

    def probabilities(self, photos: Sequence[Image.Image]) -> Tensor:
        """float32 `[N, C, h, w]` at the network's size."""
        height, width = self.model.metadata["image_size"]
        small = [photo.resize((width, height), Image.Resampling.BILINEAR) for photo in photos]
        images = torch.from_numpy(np.stack([np.asarray(image) for image in small])).permute(0, 3, 1, 2)
        images = images.contiguous().to(next(self.model.network.parameters()).device)
        model = self.model
        batches = forward.predict_batches(
            model.network, model.loss, images, model.normalise, batch_size=len(images), dtype=self.dtype
        )
        return next(batches)[2]

    def planes(self, probabilities: Tensor, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Class by class, at full size `(width, height)`: mask, bool `[H, W]`, and probabilities, float32 `[H, W]`.

        One class at a time: all of them at the size of a photograph would not fit in memory.
        """
        for plane in probabilities:
            full = interpolate(plane[None, None], size[::-1], mode="bilinear", align_corners=False)[0, 0]
            yield full >= self.threshold, full

    def class_numbers(self, probabilities: Tensor, size: tuple[int, int]) -> ClassNumbers:
        """uint8 `[H, W]`: the most probable of the classes over the threshold, from 1; 0 where there is none."""
        best = torch.zeros(size[::-1], device=probabilities.device)
        numbers = torch.zeros(size[::-1], dtype=torch.uint8, device=probabilities.device)
        for number, (mask, full) in enumerate(self.planes(probabilities, size), start=1):
            wins = mask & (full > best)
            numbers[wins], best = number, torch.where(wins, full, best)
        return numbers.cpu().numpy()


def run(
    images: Sequence[str],
    model: Path,
    out: Path,
    *,
    compare: Sequence[Path] = (),
    coco: Path | None = None,
    planes: bool = False,
    threshold: float | None = None,
) -> None:
    """Predict every image and write what the module's description says.

    Args:
        images: files, folders (searched with all that is below) and URLs.
        model: a model file of the train stage.
        out: the folder for masks and overlays.
        compare: further models, of the same classes, to be shown beside the first.
        coco: a file for all masks as a COCO results list, class by class, run-length encoded.
        planes: write each class by itself too.
        threshold: in place of each model's own.

    Raises:
        InputError: a model is damaged or knows other classes; no image was found; or, when all others are done, the
            images that could not be read, a line for each.
    """
    segmenters = load_segmenters(list(dict.fromkeys((model, *compare))), threshold)
    first, classes = segmenters[0], segmenters[0].model.classes
    colours = class_colours(len(classes))
    sources = find_images(images, out)
    ids = image_ids(sources)
    results: list[dict[str, Any]] = []
    failed: list[str] = []
    for batch in batched(sources, failed):
        probabilities = [segmenter.probabilities([photo for _, photo in batch]) for segmenter in segmenters]
        for index, (source, photo) in enumerate(batch):
            numbers = [
                segmenter.class_numbers(of_batch[index], photo.size)
                for segmenter, of_batch in zip(segmenters, probabilities, strict=True)
            ]
            pixels = np.asarray(photo)
            overlays = [overlay(pixels, each, colours) for each in numbers]
            save_png(out / f"{source.name}.mask.png", mask_image(numbers[0], len(classes)))
            save_png(out / f"{source.name}.overlay.png", Image.fromarray(overlays[0]))
            if compare:
                views = zip((segmenter.label for segmenter in segmenters), overlays, strict=True)
                page = side_by_side([("input", pixels), *views], dict(zip(classes, colours, strict=True)))
                save_png(out / f"{source.name}.compare.png", page)
            if not (planes or coco):
                continue
            for number, (mask, full) in enumerate(first.planes(probabilities[0][index], photo.size), start=1):
                name, plane = classes[number - 1], mask.cpu().numpy().view(np.uint8)
                if planes:
                    safe = re.sub(r"[^\w-]+", "_", name)
                    save_png(out / f"{source.name}.{safe}.png", Image.fromarray(plane * 255))
                if coco and plane.any():
                    results.append(coco_result(ids[source], number, name, plane, float(full[mask].mean())))
    if coco:
        write_json(coco, results)
    if len(sources) > len(failed):
        print(f"{len(sources) - len(failed)} of {len(sources)} images: masks and overlays are in {out}")
    if failed:
        done = f"{len(failed)} of {len(sources)} images could not be used; the others are done\n"
        raise InputError((done if len(sources) > 1 else "") + "\n".join(failed))


def load_segmenters(paths: Sequence[Path], threshold: float | None) -> list[Segmenter]:
    """The models, on the GPU if there is one, with the precision that they were trained in.

    Raises:
        InputError: a file is missing, damaged or no model, or the models do not know the same classes.
    """
    segmenters: list[Segmenter] = []
    for path in paths:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = model_file.load(path, device)
        if segmenters and model.classes != segmenters[0].model.classes:
            raise InputError(
                f"{path}: its classes are {', '.join(model.classes)}; those of {paths[0]} are "
                f"{', '.join(segmenters[0].model.classes)}; only models of the same classes can be compared"
            )
        if len(model.metadata.get("image_size", ())) != 2 or "train" not in model.metadata:
            raise InputError(f"{path}: does not say its image_size and train; train it again")
        dtype = devices.compute_dtype(model.metadata["train"]["precision"], devices.cpu_precision(), device)
        label = f"{path.parent.name} {path.stem}"
        segmenters.append(Segmenter(model, label, dtype, model.threshold if threshold is None else threshold))
    return segmenters


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
    named: dict[str, str] = {}  # name → what
    for what, wanted in given.items():
        name = next(n for k in count(1) if (n := wanted if k == 1 else f"{wanted}-{k}") not in named)
        named[name] = what
    return [Source(what, name) for name, what in named.items()]


def image_ids(sources: Sequence[Source]) -> dict[Source, int | str]:
    """COCO's ids: the number that each name is (`000000000139.jpg`), or the name if not all are different numbers."""
    names = [Path(source.name).name for source in sources]
    if all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        return {source: int(name) for source, name in zip(sources, names, strict=True)}
    return {source: source.name for source in sources}


def batched(sources: Sequence[Source], failed: list[str]) -> Iterator[list[tuple[Source, Image.Image]]]:
    """Read the images, with progress, in batches that fit in memory; those that cannot be read go to `failed`."""
    batch: list[tuple[Source, Image.Image]] = []
    pixels = 0
    with Fetcher(Patience(attempts=3)) as fetcher:
        for source in tqdm(sources, unit=" images", disable=None):
            try:
                photo = read_image(source, fetcher)
            except Unusable as error:
                failed.append(f"{source.given}: {REASONS[str(error)]}")
                continue
            except InputError as error:  # names the URL
                failed.append(str(error))
                continue
            batch.append((source, photo))
            pixels += photo.width * photo.height
            if len(batch) >= BATCH_IMAGES or pixels >= BATCH_PIXELS:
                yield batch
                batch, pixels = [], 0
        if batch:
            yield batch


def read_image(source: Source, fetcher: Fetcher) -> Image.Image:
    """The photograph, in RGB and upright.

    Raises:
        Unusable: it cannot be read.
        InputError: it cannot be fetched.
    """
    if not is_url(source.given):
        return read_photo(Path(source.given))
    with tempfile.TemporaryDirectory() as folder:
        fetcher.fetch(source.given, Path(folder, "image"))
        return read_photo(Path(folder, "image"))


def coco_result(image: int | str, category: int, name: str, plane: Pixels, score: float) -> dict[str, Any]:
    """One entry of COCO's results format; `plane` is uint8 `[H, W]` of 0 and 1."""
    rle = coco_mask.encode(np.asfortranarray(plane))
    segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
    what = {"image_id": image, "category_id": category, "category": name}
    return {**what, "segmentation": segmentation, "score": round(score, 6)}


def is_url(image: str) -> bool:
    """Whether it is to be fetched."""
    return image.startswith(("http://", "https://"))


def save_png(path: Path, image: Image.Image) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_file(path) as temporary:
        image.save(temporary, format="PNG")
