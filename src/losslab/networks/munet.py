"""mUNet: a U of residual blocks, by Avinash Kak.

The architecture is that of `DLStudio.SemanticSegmentation.mUNet` in DLStudio 2.5.8 (Python Software Foundation
licence); this is an implementation of our own. Layers are named and made in the same order, so that a state dict
saved by either loads in the other, and one seed gives both the same weights.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn, relu_
from torch.nn.functional import max_pool2d

from losslab.networks.sizes import any_size


class MUNet(nn.Module):
    """Three scales of 64, 64 and 128 channels, residual blocks along the arms, skip connections across.

    A skip connection overwrites the first half of a map on the way up with the first half of its counterpart on the
    way down. The first quarter of the 128-channel blocks of the upward arm is used twice and the rest not at all, as
    is the second convolution of blocks that change the width: parameters that the count includes, but that never
    change.

    Args:
        in_channels: channels of the image.
        classes: planes of the output.
        depth: twice the number of blocks in each of the four chains. 16 is the default of DLStudio.
        skip_connections: whether blocks add their input to their output; those across the U are always there.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size.
    """

    multiple = 8

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        depth: Annotated[int, Field(ge=2)] = 16,
        skip_connections: bool = True,
    ) -> None:
        super().__init__()
        blocks, skip = depth // 2, skip_connections
        self.first_quarter = blocks // 4
        self.conv_in = nn.Conv2d(in_channels, 64, 3, padding=1)
        self.bn1DN, self.bn2DN = nn.BatchNorm2d(64), nn.BatchNorm2d(128)
        self.skip64DN_arr = nn.ModuleList(Down(64, 64, skip) for _ in range(blocks))
        self.skip64dsDN = Down(64, 64, skip, halve=True)
        self.skip64to128DN = Down(64, 128, skip)
        self.skip128DN_arr = nn.ModuleList(Down(128, 128, skip) for _ in range(blocks))
        self.skip128dsDN = Down(128, 128, skip, halve=True)
        self.bn1UP, self.bn2UP = nn.BatchNorm2d(128), nn.BatchNorm2d(64)
        self.skip64UP_arr = nn.ModuleList(Up(64, 64, skip) for _ in range(blocks))
        self.skip64usUP = Up(64, 64, skip, double=True)
        self.skip128to64UP = Up(128, 64, skip)
        self.skip128UP_arr = nn.ModuleList(Up(128, 128, skip) for _ in range(blocks))
        self.skip128usUP = Up(128, 128, skip, double=True)
        self.conv_out = nn.ConvTranspose2d(64, classes, 3, stride=2, dilation=2, output_padding=1, padding=2)

    @any_size
    def forward(self, x: Tensor) -> Tensor:
        quarter = self.first_quarter
        x = max_pool2d(relu_(self.conv_in(x)), 2)  # [N, 64, H/2, W/2]
        across_1 = x = chain(x, self.skip64DN_arr[:quarter])
        x = self.bn1DN(chain(self.skip64dsDN(x), self.skip64DN_arr[quarter:]))
        across_2 = x  # [N, 64, H/4, W/4]
        x = self.bn2DN(chain(self.skip64to128DN(x), self.skip128DN_arr[:quarter]))
        across_3 = x  # [N, 128, H/4, W/4]
        x = self.skip128dsDN(chain(x, self.skip128DN_arr[quarter:]))  # [N, 128, H/8, W/8]

        x = chain(self.skip128usUP(x), self.skip128UP_arr[:quarter])
        x = self.bn1UP(overwrite(x, across_3))
        x = self.skip128to64UP(chain(x, self.skip128UP_arr[:quarter]))
        x = chain(x, self.skip64UP_arr[quarter:])
        x = self.bn2UP(overwrite(x, across_2))
        x = chain(self.skip64usUP(x), self.skip64UP_arr[:quarter])
        logits: Tensor = self.conv_out(overwrite(x, across_1))
        return logits


class Down(nn.Module):
    """Convolutions with batch normalisation and ReLU around which the input is added; may halve the size.

    `after` is `before` or twice that. Where they differ there is one convolution; `convo2` and `bn2` are not used.
    """

    def __init__(self, before: int, after: int, skip: bool, halve: bool = False) -> None:
        super().__init__()
        self.widens, self.skip = before != after, skip
        self.convo1, self.convo2 = (nn.Conv2d(before, after, 3, padding=1) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.downsampler = nn.Conv2d(before, after, 1, stride=2) if halve else None

    def forward(self, x: Tensor) -> Tensor:
        out = relu_(self.bn1(self.convo1(x)))
        if not self.widens:
            out = relu_(self.bn2(self.convo2(out)))
        if self.downsampler is not None:
            out, x = self.downsampler(out), self.downsampler(x)
        if self.skip:
            out = out + (torch.cat([x, x], dim=1) if self.widens else x)
        return out


class Up(nn.Module):
    """As `Down` with transposed convolutions; `after` is `before` or half of it; may double the size."""

    def __init__(self, before: int, after: int, skip: bool, double: bool = False) -> None:
        super().__init__()
        self.narrows, self.skip = before != after, skip
        self.convoT1, self.convoT2 = (nn.ConvTranspose2d(before, after, 3, padding=1) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.upsampler = nn.ConvTranspose2d(before, after, 1, stride=2, output_padding=1) if double else None

    def forward(self, x: Tensor) -> Tensor:
        out = relu_(self.bn1(self.convoT1(x)))
        if not self.narrows:
            out = relu_(self.bn2(self.convoT2(out)))
        if self.upsampler is not None:
            out, x = self.upsampler(out), self.upsampler(x)
        if self.skip:
            out = out + (x[:, out.shape[1] :] if self.narrows else x)
        return out


def chain(x: Tensor, blocks: nn.ModuleList) -> Tensor:
    """`x` through the blocks, one after another."""
    for block in blocks:
        x = block(x)
    return x


def overwrite(x: Tensor, other: Tensor) -> Tensor:
    """The first half of the channels of `other`, the second half of those of `x`."""
    half = other.shape[1] // 2
    return torch.cat([other[:, :half], x[:, half:]], dim=1)
