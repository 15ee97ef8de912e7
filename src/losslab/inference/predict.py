"""Masks of photographs: from a model file and images of any size to PNG and JSON files.

A photograph is reduced to the size that the network was trained on, as training images were, stretched or padded; the
probabilities are enlarged to the photograph's size (bilinear) and then compared with the threshold or, where classes
exclude each other, with one another. For an image `NAME` the output folder gets

- `NAME.mask.png`: 0 and 255 if the model knows one class; else the number of the class, from 1 in the model's order,
  0 for background, with a palette. Where several classes claim a pixel, the most probable has it.
- `NAME.CLASS.png` on request: each class by itself, 0 and 255, overlaps and all.
- `NAME.overlay.png`: the classes over the photograph.
- `NAME.compare.png` if models are compared: the overlay of each, side by side.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from losslab.data.photos import MAX_PIXELS, Unusable, framed, read_photo
from losslab.data.sources.http import Fetcher, Patience
from losslab.data.tensors import BACKGROUND, Frame
from losslab.errors import InputError
from losslab.inference import devices, forward, model_file
from losslab.inference.model_file import Model
from losslab.inference.output_names import Source, class_words, find_images, image_ids, is_url
from losslab.inference.overlays import ClassNumbers, Pixels, class_colours, mask_image, overlay, side_by_side
from losslab.results.files import atomic_file, write_json

MAX_SIDE = 4096  # the largest `image_size` that data sets are extracted at
PRECISIONS = ("auto", "float32", "bfloat16")
NETWORK_PIXELS = 1 << 22  # of the images that the network sees at once: 16 of 512 × 512
MAX_CLASSES = 255  # a mask's pixels are bytes
BATCH_IMAGES, BATCH_PIXELS = 16, 50_000_000
REASONS = {
    "missing": "not found",
    "empty_file": "the file is empty",
    "not_an_image": "not an image that can be read (JPEG, PNG, WebP, BMP, TIFF or GIF)",
    "too_large": f"more than {MAX_PIXELS // 10**6} million pixels",
    "damaged": "damaged, or cut short",
    "bits_unclear": "16 bits a pixel, no value over 4,095: save it with 8 bits",
    "not_8_to_16_bits": "32-bit or floating-point values: save it with 8 bits",
}


@dataclass(frozen=True)
class Segmenter:
    """A model ready to use, and what to call it."""

    model: Model
    label: str
    dtype: torch.dtype
    threshold: float

    @property
    def classes(self) -> list[str]:
        """What masks show: all classes but background."""
        return [name for name in self.model.classes if name != BACKGROUND]

    def probabilities(self, photos: Sequence[Image.Image]) -> list[Tensor]:
        """Of each photograph float32 `[C, h, w]` at the network's size, without the padding if there was any."""
        height, width = self.model.metadata["image_size"]
        frame = Frame(height, width, self.model.padded)
        places = [frame.content(*photo.size) for photo in photos]
        small = [fitted(photo, frame) for photo in photos]
        images = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
        images = images.contiguous().to(next(self.model.network.parameters()).device)
        model = self.model
        batches = forward.predict_batches(
            model.network,
            model.loss,
            images,
            model.normalise,
            batch_size=max(1, NETWORK_PIXELS // (height * width)),
            dtype=self.dtype,
        )
        planes = torch.cat([batch[2] for batch in batches])
        return [of_photo[:, rows, columns] for of_photo, (rows, columns) in zip(planes, places, strict=True)]

    def planes(self, probabilities: Tensor, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each of `classes`, at full size `(width, height)`: mask, bool `[H, W]`, and probabilities, float32 `[H,
        W]`.

        One class at a time: all of them at the size of a photograph would not fit in memory.
        """
        winners = self._class_numbers(probabilities, size) if self.model.exclusive else None
        for number, full in self._enlarged(probabilities, size):
            if number:
                yield full >= self.threshold if winners is None else winners == number, full

    def class_numbers(self, probabilities: Tensor, size: tuple[int, int]) -> ClassNumbers:
        """uint8 `[H, W]`: the number of the most probable class, from 1 in the order of `classes`; 0 for background,
        which is where none is over the threshold, or a class like the others."""
        return self._class_numbers(probabilities, size).cpu().numpy()

    def _class_numbers(self, probabilities: Tensor, size: tuple[int, int]) -> Tensor:
        best = torch.zeros(size[::-1], device=probabilities.device)
        numbers = torch.zeros(size[::-1], dtype=torch.uint8, device=probabilities.device)
        for number, full in self._enlarged(probabilities, size):
            wins = full > best if self.model.exclusive else (full >= self.threshold) & (full > best)
            numbers[wins], best = number, torch.where(wins, full, best)
        return numbers

    def _enlarged(self, probabilities: Tensor, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
        """Each class's number and its probabilities at full size."""
        number = 0
        for name, plane in zip(self.model.classes, probabilities, strict=True):
            number += name != BACKGROUND
            full = interpolate(plane[None, None], size[::-1], mode="bilinear", align_corners=False)[0, 0]
            yield 0 if name == BACKGROUND else number, full


def fitted(photo: Image.Image, frame: Frame) -> Pixels:
    """The photograph in the frame, uint8 `[H, W, 3]`, as training images are fitted."""
    rows, columns = frame.content(*photo.size)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    small = np.asarray(photo.resize(size, Image.Resampling.BILINEAR))
    return np.ascontiguousarray(framed(small, frame, rows, columns))


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
    first, classes = segmenters[0], segmenters[0].classes
    colours = class_colours(len(classes))
    words = class_words(classes)
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
                    save_png(out / f"{source.name}.{words[number - 1]}.png", Image.fromarray(plane * 255))
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
        InputError: a file is missing, damaged or no model, the models do not know the same classes, or have no use for
            a threshold.
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
        if reason := _why_unfit(model):
            raise InputError(f"{path}: {reason}; train it again")
        if model.exclusive and threshold is not None:
            raise InputError(f"--threshold: the classes of {path} exclude each other, and the most probable is taken")
        dtype = devices.compute_dtype(model.metadata["train"]["precision"], devices.cpu_precision(), device)
        label = f"{path.parent.name} {path.stem}"
        segmenters.append(Segmenter(model, label, dtype, model.threshold if threshold is None else threshold))
    return segmenters


def _why_unfit(model: Model) -> str:
    """What keeps a model from being used on photographs; empty if nothing does. The file can come from anywhere."""
    size, precision = model.metadata.get("image_size"), model.metadata.get("train", {}).get("precision")
    if not isinstance(size, list) or [type(side) for side in size] != [int, int] or precision not in PRECISIONS:
        return "does not say its image_size and train"
    if max(size) > MAX_SIDE:
        return f"its image_size is more than {MAX_SIDE}"
    if len(model.normalise.mean) != 3 or len(model.normalise.std) != 3:
        return "is not for images of three channels"
    if len(model.classes) > MAX_CLASSES:
        return f"has more than {MAX_CLASSES} classes"
    if not all(bool(tensor.isfinite().all()) for tensor in model.network.state_dict().values()):
        return "has weights that are no numbers"
    return ""


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


def save_png(path: Path, image: Image.Image) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_file(path) as temporary:
        image.save(temporary, format="PNG")
