"""Training images changed at random on the device, a batch at once, each image by its own draw; masks move along.

An image's draw follows from (seed, epoch, image) alone: whatever its batch, its place in there, and where a run was
interrupted. Each image gets a number, its key, and all that is drawn for it is a hash of that key and a position, the
same on every device. So nothing is kept between steps, and a step with all of it can be a CUDA graph.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from losslab.losses.shared.device_constants import constant
from losslab.settings.augment import Augment

VOID = 255
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the brightness that is seen, by ITU-R BT.601."""
NODES = 5
"""An elastic displacement is drawn at so many places along each side, and smooth between them."""
FIELD, PIXELS = 16, 16 + 2 * NODES * NODES
"""Positions in an image's stream of draws: single numbers lie before FIELD, noise from PIXELS on."""


@dataclass(frozen=True)
class Augmentation:
    """What `train.augment` asks for."""

    settings: Augment

    @property
    def moves(self) -> bool:
        """Whether pixels move by more than a mirror image, so that what depends on their places changes."""
        return self.leaves_void or self.settings.crop < 1 or self.settings.scale != (1.0, 1.0)

    @property
    def leaves_void(self) -> bool:
        """Whether the outside of an image may show."""
        return bool(self.settings.rotation or self.settings.elastic) or self.settings.scale[0] < 1

    @property
    def recolours(self) -> bool:
        """Whether colours change linearly."""
        return bool(self.settings.brightness or self.settings.contrast or self.settings.saturation)

    def keys(self, seed: int, epoch: int, count: int) -> Tensor | None:
        """A number for each of `count` images, int32 `[count]`; none where nothing but flips is wanted."""
        if not (self.moves or self.recolours or self.settings.blur or self.settings.noise):
            return None
        return torch.from_numpy(np.random.default_rng([seed, epoch]).integers(-(2**31), 2**31, count, np.int32))

    def __call__(
        self, images: Tensor, masks: Tensor, maps: Tensor | None, mirror: Tensor, keys: Tensor | None, share: slice
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The batch as the network is to see it.

        Args:
            images: uint8 `[b, 3, H, W]`, the `share` of a batch of B.
            masks: uint8 `[B, C, H, W]`.
            maps: what a loss computed from the masks, `[B, C, H, W]`.
            mirror: bool `[2, B, 1, 1, 1]`: mirrored up–down where `mirror[0]`, left–right where `mirror[1]`.
            keys: `[B]` of the images' keys, on the device of the images.
            share: which of the batch `images` are.

        Returns:
            images, as they were or as float32 of 0–255; masks, void where an image's outside shows; maps, none where
            they would have to be computed anew.
        """
        if keys is None:
            return flip(images, mirror[:, share]), flip(masks, mirror), None if maps is None else flip(maps, mirror)
        low, high = (constant(ends, keys.device) for ends in zip(*self._ranges, strict=True))
        drawn = torch.lerp(low, high, uniform(keys, len(low)))  # [B, 10]
        if self.moves:
            grid = self._sources(drawn[:, :5], keys, mirror, *masks.shape[2:])
            images = F.grid_sample(images.float(), grid[share], "bilinear", "border", align_corners=False)
            masks, maps = nearest(masks, grid, self.leaves_void), None
        else:
            images, masks = flip(images, mirror[:, share]).float(), flip(masks, mirror)
            maps = None if maps is None else flip(maps, mirror)
        return self._appearance(images, drawn[share, 5:], keys[share]), masks, maps

    @property
    def _ranges(self) -> tuple[tuple[float, float], ...]:
        """Where the numbers that are drawn for an image lie: angle, window, logarithm of the zoom, place of the window
        across and down, then brightness, contrast, saturation, blur, noise."""
        s = self.settings
        angle, zooms = math.radians(s.rotation), (math.log(s.scale[0]), math.log(s.scale[1]))
        factors = ((1 - amount, 1 + amount) for amount in (s.brightness, s.contrast, s.saturation))
        return (-angle, angle), (s.crop, 1), zooms, (-1, 1), (-1, 1), *factors, (0, s.blur), (0, 255 * s.noise)

    def _sources(self, drawn: Tensor, keys: Tensor, mirror: Tensor, height: int, width: int) -> Tensor:
        """Where each pixel comes from, `[B, H, W, 2]` across and down, from −1 at one border of the image to 1."""
        angle, window, zoom = drawn[:, :3].view(-1, 3, 1, 1).unbind(1)  # [B, 1, 1] each
        shrink = window / zoom.exp()
        along, aside = shrink * angle.cos(), shrink * angle.sin()
        centre = (1 - window).unsqueeze(1) * drawn[:, 3:].view(-1, 2, 1, 1)
        up, left = (1 - 2 * mirror.float()).view(2, -1, 1, 1).unbind(0)
        across = places(width, keys.device)  # [W]
        down = places(height, keys.device).unsqueeze(1)  # [H, 1]
        # In units of the sides, which differ: a turned image keeps its shapes.
        x = left * along * across + (centre[:, 0] - left * aside * (height / width) * down)
        y = up * aside * (width / height) * across + (centre[:, 1] + up * along * down)
        if self.settings.elastic:
            nodes = normal(uniform(keys, 2 * NODES * NODES, FIELD)).view(-1, 2, NODES, NODES)
            field = F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)
            x, y = (place + 2 * self.settings.elastic * field[:, axis] for axis, place in enumerate((x, y)))
        return torch.view_as_real(torch.complex(x, y))  # torch.stack, six times as fast

    def _appearance(self, images: Tensor, drawn: Tensor, keys: Tensor) -> Tensor:
        """Colours, blur, noise: float32 `[b, 3, H, W]` of 0–255 → the same."""
        if self.recolours:
            images = recoloured(images, drawn[:, :3])
        if self.settings.blur:
            images = blurred(images, drawn[:, 3], math.ceil(3 * self.settings.blur))
        if self.settings.noise:
            values = normal(uniform(keys, images[0].numel(), PIXELS)).view_as(images)
            images = torch.addcmul(images, values, drawn[:, 4].view(-1, 1, 1, 1))
        return images.clamp_(0, 255) if self.recolours or self.settings.noise else images


def flip(planes: Tensor, flips: Tensor) -> Tensor:
    """Mirror uint8 or float32 `[B, C, H, W]` up–down where `flips[0]` and left–right where `flips[1]`, each bool
    `[B, 1, 1, 1]`."""
    bits = planes if planes.dtype == torch.uint8 else planes.view(torch.int32)
    for axis, mirrored in zip((2, 3), flips, strict=True):
        # torch.where, on a CPU in a third of its time: both pictures' difference, where it is wanted.
        wanted = mirrored.to(bits.dtype).neg_()  # all bits of it, or none
        bits = bits.flip(axis).bitwise_xor_(bits).bitwise_and_(wanted).bitwise_xor_(bits)
    return bits.view(planes.dtype)


def nearest(masks: Tensor, grid: Tensor, void_outside: bool) -> Tensor:
    """The masks' pixels `[B, C, H, W]` at the places `[B, H, W, 2]`; outside void, uint8, or else the border's."""
    if not void_outside:
        return F.grid_sample(masks.float(), grid, "nearest", "border", align_corners=False).to(masks.dtype)
    below_void = F.grid_sample(masks.float() - VOID, grid, "nearest", "zeros", align_corners=False)
    return below_void.add_(VOID).to(torch.uint8)  # where nothing was sampled, nothing was taken away


def recoloured(images: Tensor, factors: Tensor) -> Tensor:
    """Brightness, then contrast, then saturation of `[B, 3, H, W]`, by factors `[B, 3]`.

    With g the grey of a colour and m an image's mean grey, brightness b gives b·v, contrast c gives c·v + (1 − c)·m,
    and saturation s gives s·v + (1 − s)·g, each of the values v of the step before: bcs·v + bc(1 − s)·g + b(1 − c)·m.
    """
    b, c, s = factors.view(-1, 3, 1, 1, 1).unbind(1)  # [B, 1, 1, 1] each
    grey = (images * constant(GREY, images.device).view(3, 1, 1)).sum(1, keepdim=True)  # [B, 1, H, W]
    same = b * c * (1 - s) * grey + b * (1 - c) * grey.mean((2, 3), keepdim=True)
    return torch.addcmul(same, b * c * s, images)


def blurred(images: Tensor, deviations: Tensor, radius: int) -> Tensor:
    """`[B, C, H, W]` under Gaussians with standard deviations `[B]` in pixels, cut off at `radius`; borders go on."""
    count, channels = images.shape[:2]
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    weights = (-0.5 * (offsets / deviations.clamp(min=1e-3).unsqueeze(1)).square()).exp()  # [B, 2·radius + 1]
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0).unsqueeze(1)
    planes = images.reshape(1, count * channels, *images.shape[2:])
    for kernels, padding in (
        (weights.unsqueeze(2), (radius, radius, 0, 0)),
        (weights.unsqueeze(3), (0, 0, radius, radius)),
    ):
        planes = F.conv2d(F.pad(planes, padding, mode="replicate"), kernels, groups=count * channels)
    return planes.view_as(images)


def places(count: int, device: torch.device) -> Tensor:
    """Centres of `count` pixels in a row from −1 to 1, `[count]`."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1


def uniform(keys: Tensor, count: int, start: int = 0) -> Tensor:
    """`[B, count]` of float32 in (0, 1), of which nothing but a key `[B]` and a position from `start` on decides."""
    positions = torch.arange(start, start + count, device=keys.device, dtype=torch.int32)
    mixed = hashed(hashed(positions) ^ keys.unsqueeze(1))
    return (((mixed >> 9) & 0x7FFFFF).float() + 0.5) * 2.0**-23


def normal(uniform: Tensor) -> Tensor:
    """Numbers in (0, 1) → numbers of mean 0 and deviation 1, by the quantiles of the normal distribution."""
    return math.sqrt(2) * torch.erfinv(2 * uniform - 1)


def hashed(numbers: Tensor) -> Tensor:
    """int32 → others, as good as random: an invertible mixing of the 32 bits; products keep their lower 32.

    Multipliers and shifts by Wellons, "Prospecting for hash functions", 2018.
    """
    for shift, multiplier in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        numbers = (numbers ^ ((numbers >> shift) & (2 ** (32 - shift) - 1))) * multiplier
    return numbers ^ ((numbers >> 15) & 0x1FFFF)
