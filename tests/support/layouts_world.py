"""The layouts of well-known data sets, on a few small images."""

from pathlib import Path

import numpy as np
from mask_world import palette_image
from PIL import Image

SIDE = 24


def label_map(index: int, labels: tuple[int, ...]) -> np.ndarray:
    """Bands of the labels in turn, the first of them at the top, moved by the index."""
    rows = (np.arange(SIDE) + index) * len(labels) // SIDE % len(labels)
    return np.array(labels, np.uint8)[rows][:, None].repeat(SIDE, axis=1)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8))


def write_text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def voc(root: Path) -> None:
    """Pascal VOC 2012: palette images of class numbers, 255 between objects; lists name the images of each split, and
    more images than these have no mask."""
    for index in range(12):
        save(root / f"JPEGImages/2007_{index:06}.jpg", photo(index))
        if index < 10:
            palette = [(k, 2 * k % 256, 3 * k % 256) for k in range(256)]
            mask = palette_image(label_map(index, (0, 1, 255, 20)), *palette)
            save(root / f"SegmentationClass/2007_{index:06}.png", mask)
    write_text(root / "ImageSets/Segmentation/train.txt", [f"2007_{index:06}" for index in range(6)])
    write_text(root / "ImageSets/Segmentation/val.txt", [f"2007_{index:06}" for index in range(6, 10)])


def pets(root: Path) -> None:
    """Oxford-IIIT Pet: trimaps of 1 (pet), 2 (background) and 3 (border); lists whose lines have more than a name."""
    names = [f"{breed}_{index}" for index in range(5) for breed in ("Abyssinian", "beagle")]
    for index, name in enumerate(names):
        save(root / f"images/{name}.jpg", photo(index))
        save(root / f"annotations/trimaps/{name}.png", Image.fromarray(label_map(index, (1, 3, 2))))
    write_text(root / "annotations/trainval.txt", [f"{name} 1 1 1" for name in names[:7]])
    write_text(root / "annotations/test.txt", [f"{name} 2 1 2" for name in names[7:]])


def cityscapes(root: Path) -> None:
    """Cityscapes: a folder for each town, label numbers of which some are never scored."""
    for split, town in (("train", "aachen"), ("train", "bochum"), ("val", "lindau")):
        for index in range(4):
            name = f"{town}/{town}_{index:06}_000019"
            save(root / f"leftImg8bit/{split}/{name}_leftImg8bit.png", photo(10 * ord(town[0]) + index))
            mask = Image.fromarray(label_map(index, (7, 26, 0, 4)))
            save(root / f"gtFine/{split}/{name}_gtFine_labelIds.png", mask)
            save(root / f"gtFine/{split}/{name}_gtFine_instanceIds.png", mask)


def camvid(root: Path) -> None:
    """CamVid: colours, of which black is void; a folder for each split's images, and for its masks."""
    colours = np.zeros((4, 3), np.uint8)
    colours[:3] = [[128, 128, 128], [128, 0, 0], [128, 64, 128]]
    for start, split in ((0, "train"), (6, "val"), (9, "test")):
        for index in range(start, start + 3):
            save(root / f"{split}/0001TP_{index:06}.png", photo(index))
            mask = Image.fromarray(colours[label_map(index, (0, 1, 2, 3))])
            save(root / f"{split}_labels/0001TP_{index:06}_L.png", mask)


def ade20k(root: Path) -> None:
    """ADE20K's scene parsing benchmark: 0 is what has no label."""
    for start, split in ((0, "training"), (8, "validation")):
        for index in range(start, start + 8):
            save(root / f"images/{split}/ADE_{index:08}.jpg", photo(index))
            save(root / f"annotations/{split}/ADE_{index:08}.png", Image.fromarray(label_map(index, (0, 1, 2))))


def drive(root: Path) -> None:
    """DRIVE: photographs in TIFF, vessels and fields of view in GIF, and a second observer's for the test images."""
    for split, start in (("training", 21), ("test", 1)):
        for index in range(start, start + 6):
            save(root / f"{split}/images/{index:02}_{split}.tif", photo(index))
            vessels = Image.fromarray(label_map(index, (0, 255, 0)))
            save(root / f"{split}/1st_manual/{index:02}_manual1.gif", vessels)
            save(root / f"{split}/mask/{index:02}_{split}_mask.gif", Image.new("L", (SIDE, SIDE), 255))
            if split == "test":
                save(root / f"{split}/2nd_manual/{index:02}_manual2.gif", vessels)


def cvat(root: Path) -> None:
    """CVAT's export "Segmentation mask", with images: colours, and a label map that names them."""
    colours = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255]], np.uint8)
    for index in range(10):
        save(root / f"JPEGImages/frame_{index:06}.jpg", photo(index))
        save(root / f"SegmentationClass/frame_{index:06}.png", Image.fromarray(colours[label_map(index, (0, 1, 2))]))
        save(root / f"SegmentationObject/frame_{index:06}.png", Image.fromarray(colours[label_map(index, (0, 2, 1))]))
    write_text(root / "ImageSets/Segmentation/default.txt", [f"frame_{index:06}" for index in range(10)])
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cat:250,50,83::", "dog:51,221,255::"]
    write_text(root / "labelmap.txt", lines)
