"""Augmentation: masks move with images, each image by a draw of its own, and outside of an image nothing is known."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from augmentations import EVERY
from projects import ROOT
from scipy import ndimage, stats
from torch import Tensor

from losslab import data, losses, networks
from losslab.errors import InputError
from losslab.settings import params
from losslab.settings.augment import Augment
from losslab.training.augmentation import Augmentation, blurred, flip, nearest, normal, recoloured, uniform

EACH = {name: getattr(EVERY, name) for name in Augment.model_fields}
MOVING = ("crop", "scale", "rotation", "elastic")


def blobs(count: int = 6, height: int = 40, width: int = 56) -> tuple[Tensor, Tensor]:
    """Grey images with bright blobs, and the blobs as masks: uint8 `[N, 3, H, W]` and `[N, 1, H, W]`."""
    noise = np.random.default_rng(0).standard_normal((count, 1, height, width))
    masks = (ndimage.gaussian_filter(noise, (0, 0, 5, 5)) > 0.02).astype(np.uint8)
    return torch.from_numpy(masks * 200 + 20).expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(masks)


def augmented(
    settings: Augment, images: Tensor, masks: Tensor, epoch: int = 0, part: slice = slice(None)
) -> tuple[Tensor, Tensor]:
    augment = Augmentation(settings)
    mirror = torch.rand(2, len(images), 1, 1, 1, generator=torch.Generator().manual_seed(0)) < 0.5
    keys = augment.keys(0, epoch, len(images))
    images, masks, _ = augment(images[part], masks, None, mirror & settings.flips, keys, part)
    return images, masks


@pytest.mark.parametrize("name", ["flips", *MOVING])
def test_the_mask_moves_with_its_image(name: str) -> None:
    images, masks = blobs()
    moved, planes = augmented(Augment(**{name: EACH[name]}), images, masks)
    assert not torch.equal(planes, masks)
    known = planes[:, 0] != 255
    agree = (moved[:, 0] > 120) == (planes[:, 0] == 1)
    assert agree[known].float().mean() > 0.985, "but for pixels on an outline, where the image is between two values"
    assert known.float().mean() > 0.6


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "blur", "noise"])
def test_appearance_leaves_the_mask_alone(name: str) -> None:
    images, masks = blobs()
    images[:, 0] //= 2
    changed, planes = augmented(Augment(**{name: EACH[name]}), images, masks)
    assert torch.equal(planes, masks)
    assert not torch.equal(changed, images.float())
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_without_augmentation_nothing_is_touched() -> None:
    images, masks = blobs()
    same, planes = augmented(Augment(), images, masks)
    assert same.dtype == torch.uint8
    assert torch.equal(same, images)
    assert torch.equal(planes, masks)


@pytest.mark.parametrize("planes", [torch.arange(96, dtype=torch.uint8), torch.rand(96)], ids=["uint8", "float32"])
def test_a_mirror_image_is_exact_and_of_the_images_that_want_it(planes: Tensor) -> None:
    planes = planes.view(4, 2, 3, 4)
    mirror = torch.tensor([[False, True, False, True], [False, False, True, True]]).view(2, 4, 1, 1, 1)
    expected = [planes[0], planes[1].flip(1), planes[2].flip(2), planes[3].flip(1, 2)]
    assert torch.equal(flip(planes, mirror), torch.stack(expected))


def test_outside_of_an_image_is_void() -> None:
    """At half the size the image is the inner quarter, and every second of its pixels."""
    images, masks = blobs(2, 32, 48)
    _, planes = augmented(Augment(scale=(0.5, 0.5)), images, masks)
    assert planes[:, :, 8:24, 12:36].max() == 1
    outer = planes.clone()
    outer[:, :, 8:24, 12:36] = 255
    assert (outer == 255).all()


def test_a_crop_is_a_window_inside_of_the_image() -> None:
    """On images that are ramps, what a crop shows is a ramp over between half and all of them."""
    height, width = 32, 64
    ramp = torch.arange(width, dtype=torch.uint8).expand(20, 3, height, width).contiguous()
    cropped, planes = augmented(Augment(crop=0.5), ramp, torch.zeros(20, 1, height, width, dtype=torch.uint8))
    row = cropped[:, 0, 0]
    spans = row[:, -2] - row[:, 1]
    assert (planes == 0).all()
    assert (spans >= (width - 3) * 0.5 - 0.01).all()
    assert (spans <= width - 3 + 0.01).all()
    assert spans.max() - spans.min() > 10
    steps = row[:, 2:-1] - row[:, 1:-2]
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-3, rtol=0)


def test_a_turned_image_keeps_its_shapes() -> None:
    """A disk in an image that is not square stays a disk of its size."""
    height, width, radius = 40, 90, 12
    down, across = np.mgrid[:height, :width]
    disk = ((down - 19.5) ** 2 + (across - 44.5) ** 2 <= radius**2).astype(np.uint8)
    masks = torch.from_numpy(disk).expand(8, 1, -1, -1).contiguous()
    _, turned = augmented(Augment(rotation=180), masks.expand(-1, 3, -1, -1).contiguous(), masks)
    assert ((turned == 1) == (masks == 1)).float().mean() > 0.99


def test_nearest_takes_whole_pixels_and_says_what_is_outside() -> None:
    masks = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3)
    x = torch.tensor([[[-0.9, 0.1, 1.4], [0.6, -0.3, 0.0]]])
    y = torch.tensor([[[-0.6, 0.6, 0.6], [-0.1, -1.1, 0.9]]])
    assert nearest(masks, torch.stack([x, y], 3), True).tolist() == [[[[0, 4, 255], [2, 255, 4]]]]


def test_an_images_draw_is_its_own_whatever_its_batch() -> None:
    images, masks = blobs()
    augment = Augmentation(EVERY)
    keys = augment.keys(3, 4, 6)
    assert keys is not None
    mirror = torch.zeros(2, 6, 1, 1, 1, dtype=torch.bool)
    whole, planes, _ = augment(images, masks, None, mirror, keys, slice(None))
    order = torch.tensor([4, 0, 5])
    part, some, _ = augment(images[order], masks[order], None, mirror[:, :3], keys[order], slice(None))
    assert torch.equal(part, whole[order])
    assert torch.equal(some, planes[order])
    longer = augment.keys(3, 4, 9)
    assert longer is not None
    assert torch.equal(longer[:6], keys)


def test_processes_that_share_a_batch_see_the_same_images() -> None:
    images, masks = blobs()
    whole, planes = augmented(EVERY, images, masks)
    for part in (slice(0, 3), slice(3, 6)):
        share, all_masks = augmented(EVERY, images, masks, part=part)
        assert torch.equal(share, whole[part])
        assert torch.equal(all_masks, planes)


def test_seed_epoch_and_image_each_make_a_difference() -> None:
    augment = Augmentation(EVERY)
    keys = [augment.keys(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    assert len({int(key) for some in keys if some is not None for key in some}) == 200


def test_maps_follow_a_mirror_and_are_given_up_where_distances_change() -> None:
    images, masks = blobs()
    maps, mirror = torch.rand(6, 1, 40, 56), torch.ones(2, 6, 1, 1, 1, dtype=torch.bool)
    for settings in (Augment(flips=True), Augment(flips=True, brightness=0.2)):
        augment = Augmentation(settings)
        _, _, mirrored = augment(images, masks, maps, mirror, augment.keys(0, 0, 6), slice(None))
        assert mirrored is not None
        assert torch.equal(mirrored, flip(maps, mirror))
    for name in MOVING:
        augment = Augmentation(Augment(**{name: EACH[name]}))
        assert augment.moves
        assert augment(images, masks, maps, mirror, augment.keys(0, 0, 6), slice(None))[2] is None


def test_colours_change_as_by_one_step_after_another() -> None:
    images = torch.rand(4, 3, 5, 7, dtype=torch.float64) * 255
    factors = torch.rand(4, 3, dtype=torch.float64) + 0.5
    grey = np.array([0.299, 0.587, 0.114])
    for image, (brightness, contrast, saturation), changed in zip(
        images.numpy(), factors.tolist(), recoloured(images.float(), factors.float()).numpy(), strict=True
    ):
        bright = image * brightness
        contrasted = contrast * bright + (1 - contrast) * np.tensordot(grey, bright, 1).mean()
        expected = saturation * contrasted + (1 - saturation) * np.tensordot(grey, contrasted, 1)
        np.testing.assert_allclose(changed, expected, rtol=1e-4, atol=1e-2)


def test_blur_is_scipys_gaussian() -> None:
    images = torch.rand(3, 2, 12, 15)
    deviations = torch.tensor([0.4, 1.3, 0.0])
    smooth = blurred(images, deviations, 6)
    for image, deviation, expected in zip(smooth, deviations.tolist(), images, strict=True):
        filtered = ndimage.gaussian_filter(
            expected.numpy(), (0, deviation, deviation), mode="nearest", radius=(0, 6, 6)
        )
        torch.testing.assert_close(image, torch.from_numpy(filtered), atol=1e-5, rtol=1e-5)


def test_draws_are_uniform_normal_and_independent() -> None:
    keys = Augmentation(EVERY).keys(0, 0, 200)
    assert keys is not None
    drawn = uniform(keys, 500)
    assert torch.equal(drawn[:, 40:60], uniform(keys, 20, 40))
    assert stats.kstest(drawn.flatten().numpy(), "uniform").pvalue > 0.01
    assert stats.kstest(normal(drawn).flatten().numpy(), "norm").pvalue > 0.01
    for one, other in ((drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1])):
        correlation = np.corrcoef(one.flatten().numpy(), other.flatten().numpy())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(one.numel())


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"rotation": 200}, "rotation: 200 is not ≤ 180"),
        ({"crop": 0.05}, "crop: 0.05 is not ≥ 0.1"),
        ({"scale": [1.2, 0.8]}, "scale: [1.2, 0.8]: the smallest factor stands first"),
        ({"noise": -1}, "noise: -1 is not ≥ 0"),
        ({"blurr": 1}, "blurr: unknown key; did you mean 'blur'?"),
        ({"flips": 1.5}, "flips: Input should be a valid boolean"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Any, augment: dict[str, Any], message: str) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["train"]["augment"] = augment
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    registries = {"datasets": data.registry, "networks": networks.registry, "losses": losses.registry}
    with pytest.raises(InputError) as error:
        params.load(registries, path)
    assert str(error.value).startswith(f"params.yaml: train.augment.{message}")
    assert "\n" not in str(error.value)
