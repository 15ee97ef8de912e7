"""Write docs/augmentation.png, a row for each option of `train.augment`: `python docs/augmentation.py`."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from losslab.settings.augment import Augment
from losslab.training.augmentation import VOID, Augmentation

HEIGHT, WIDTH, DRAWS = 96, 128, 6
SHOWN = {
    "flips": True, "crop": 0.5, "scale": (0.6, 1.5), "rotation": 30, "elastic": 0.03,
    "brightness": 0.5, "contrast": 0.7, "saturation": 1.0, "blur": 2.0, "noise": 0.15,
}  # fmt: skip


def scene() -> tuple[Tensor, Tensor]:
    """A picture drawn by numbers, uint8 `[1, 3, H, W]`, and the masks of its disk and of its house, `[1, 2, H, W]`."""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([90 + down / 2, 140 + down / 3, 215 - down / 2], axis=0)
    meadow = down > 70 + 5 * np.sin(across / 14)
    image[:, meadow] = np.array([[88], [140], [60]]) + 18 * ((across + down) % 8 < 4)[meadow]
    disk = (across - 99) ** 2 + (down - 24) ** 2 < 14**2
    image[:, disk] = [[250], [205], [70]]
    walls = (abs(across - 42) < 24) & (abs(down - 62) < 18)
    roof = (abs(across - 42) < 30 - 1.4 * (44 - down)) & (down <= 44) & (down > 22)
    image[:, walls], image[:, roof] = [[205], [190], [170]], [[170], [60], [50]]
    for left in (26, 46):
        image[:, 54:64, left : left + 10] = np.array([70, 90, 120]).reshape(3, 1, 1)
    masks = np.stack([disk, walls | roof])
    return (torch.from_numpy(array.astype(np.uint8)).unsqueeze(0) for array in (image, masks))  # type: ignore[return-value]


def draw(axes: Axes, image: Tensor, masks: Tensor) -> None:
    """One image, the outlines of its masks, and what is void hatched."""
    axes.imshow(image.round().to(torch.uint8).permute(1, 2, 0).numpy(), interpolation="nearest")
    void = (masks[0] == VOID).numpy()
    if void.any():
        axes.contourf(void, [0.5, 1.5], colors=["#00000066"], hatches=["////"])
    for mask, colour in zip(masks.numpy(), ("#d81b60", "#1e40ff"), strict=True):
        axes.contour(np.where(void, 0, mask), [0.5], colors=[colour], linewidths=1.4)
    axes.set_xticks([])
    axes.set_yticks([])


if __name__ == "__main__":
    image, masks = scene()
    figure, grid = plt.subplots(
        len(SHOWN), DRAWS, figsize=(1.6 * DRAWS, 1.26 * len(SHOWN)), gridspec_kw={"wspace": 0.04, "hspace": 0.06}
    )
    for row, (name, value) in zip(grid, SHOWN.items(), strict=True):
        augment = Augmentation(Augment.model_validate({name: value}))
        mirror = torch.arange(2).view(2, 1) < torch.tensor([0, 1, 2, 0, 1, 2])
        mirror = (mirror & augment.settings.flips).view(2, DRAWS, 1, 1, 1)
        images, planes = (part.expand(DRAWS, -1, -1, -1).contiguous() for part in (image, masks))
        images, planes, _ = augment(images, planes, None, mirror, augment.keys(0, 0, DRAWS), slice(None))
        for axes, *drawn in zip(row, images, planes, strict=True):
            draw(axes, *drawn)
        text = f"[{value[0]}, {value[1]}]" if isinstance(value, tuple) else str(value).lower()
        row[0].set_ylabel(f"{name}:\n{text}", rotation=0, ha="right", va="center", fontsize=10)
    path = Path(__file__).with_suffix(".png")
    figure.savefig(path, dpi=90, bbox_inches="tight", metadata={"Software": None})
