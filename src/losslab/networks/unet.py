"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015), convolutions padded to keep the image's size."""

import math
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, ValidationInfo
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

from losslab.networks.sizes import any_size
from losslab.settings.schema import Count, Fraction

Norm = Literal["batch", "none"]


def _decoded(value: int, info: ValidationInfo) -> int:
    levels = info.data.get("levels")  # not there if it is wrong itself
    if levels and value > (most := max(levels - 2, 0)):
        raise ValueError(f"more than {most}, the coarser scales that are decoded with {levels} levels")
    return value


CoarserScales = Annotated[int, Field(ge=0), AfterValidator(_decoded)]
"""How many of the scales between the finest and the coarsest."""


class UNet(nn.Module):
    """An encoder of `levels` scales, a decoder that mirrors it, and a skip connection at each scale.

    Args:
        in_channels: channels of the image.
        classes: planes of the output.
        width: channels at full resolution, doubled at each scale down. The paper: 64.
        levels: number of scales; the smallest map has 1/2^(levels − 1) of the side. The paper: 5.
        norm: `batch` normalisation after each convolution, or `none` as in the paper.
        patch: side of the squares of pixels that are the network's positions: a square comes in as patch² times the
            channels, and goes out as patch² times the planes (Shi et al., "Real-time single image and video
            super-resolution using an efficient sub-pixel convolutional neural network", CVPR 2016). With 2, and a level
            less, a step is four times as fast. The paper: 1, pixels.
        prior: probability of every plane before training, set by the head's bias (Lin et al., "Focal loss for dense
            object detection", ICCV 2017). Where foreground is rare, as rare as it is: Adam moves a bias by no more than
            the learning rate a step, so from 0.5 it takes a thousand steps to learn that most of an image is
            background. None leaves the bias as drawn, near 0.5.
        deep_supervision: number of coarser scales with a head of their own, which the loss sees in training, each with
            half the weight of the one before (Isensee et al., "nnU-Net", Nature Methods 2021). At most `levels` − 2.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size. In training with deep supervision
    `[N, heads · classes, H, W]`, the finest head's first: a coarse logit stands at every pixel of its square.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        width: Count = 16,
        levels: Annotated[int, Field(ge=1, le=12)] = 4,
        norm: Norm = "batch",
        patch: Count = 1,
        prior: Fraction | None = None,
        deep_supervision: CoarserScales = 0,
    ) -> None:
        super().__init__()
        self.patch, self.multiple = patch, patch * 2 ** (levels - 1)
        widths = [width * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(
            double_conv(before, after, norm)
            for before, after in zip([in_channels * patch**2, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(deep, shallow, 2, stride=2)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.decoder = nn.ModuleList(double_conv(2 * shallow, shallow, norm) for shallow in widths[-2::-1])
        self.head = nn.Conv2d(width, classes * patch**2, 1)
        # The pixels of a square start alike (Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017).
        # Drawn apart, one of them can be left at p = 0 for ever by a loss whose gradient vanishes there, such as Dice.
        with torch.no_grad():
            for values in self.head.parameters():
                values.copy_(values[:classes].repeat_interleave(patch**2, dim=0))
        # After all else, so that one seed gives the rest of the network the same weights with and without.
        self.coarse_heads = nn.ModuleList(nn.Conv2d(size, classes, 1) for size in widths[1 : 1 + deep_supervision])
        self.supervised_heads = 1 + deep_supervision
        if prior is not None:
            for head in (self.head, *self.coarse_heads):
                nn.init.constant_(head.bias, math.log(prior / (1 - prior)))

    @any_size
    def forward(self, x: Tensor) -> Tensor:
        if self.patch > 1:
            x = pixel_unshuffle(x, self.patch)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        supervised = self.training and self.supervised_heads > 1
        decoded: list[Tensor] = []
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), up(x)], dim=1))
            if supervised:
                decoded.insert(0, x)
        logits: Tensor = self.head(x)
        logits = pixel_shuffle(logits, self.patch) if self.patch > 1 else logits
        if not supervised:
            return logits
        coarse = [head(features) for head, features in zip(self.coarse_heads, decoded[1:], strict=False)]
        return torch.cat([logits, *(interpolate(each, logits.shape[2:], mode="nearest") for each in coarse)], dim=1)


def double_conv(before: int, after: int, norm: Norm) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU, each followed by batch normalisation if asked for."""
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers.append(nn.Conv2d(inputs, after, 3, padding=1, bias=norm == "none"))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
