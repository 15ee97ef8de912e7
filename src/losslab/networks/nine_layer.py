"""The nine-layer encoder-decoder of report C, for images of 320×320."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from losslab.networks.sizes import any_size


class NineLayer(nn.Module):
    """Down by a factor of two twice and up three times, to twice the image's size, where every second pixel is kept.

    Convolutions are 3×3 with ReLU, but for the last, 1×1 and without. Weights are Kaiming-normal, biases zero.

    Args:
        in_channels: channels of the image.
        classes: planes of the output. The report has six, background among them; with the loss `cross_entropy`,
            which adds a background of its own, five say the same.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size.
    """

    multiple = 2

    def __init__(self, *, in_channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, stride=2, padding=1)
        self.up4 = doubling(128, 64)
        self.conv5 = nn.Conv2d(64 + 64, 64, 3, stride=2, padding=1)
        self.up6 = doubling(64, 32)
        self.conv7 = nn.Conv2d(32 + 32, 32, 3, padding=1)
        self.up8 = doubling(32, 16)
        self.conv9 = nn.Conv2d(16, classes, 1, stride=2)
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    @any_size
    def forward(self, x: Tensor) -> Tensor:
        skip_32 = relu(self.conv1(x))  # [N, 32, H, W]
        skip_64 = relu(self.conv2(skip_32))  # [N, 64, H, W]
        x = relu(self.conv3(skip_64))  # [N, 128, H/2, W/2]
        x = torch.cat([relu(self.up4(x)), skip_64], dim=1)  # [N, 128, H, W]
        x = relu(self.conv5(x))  # [N, 64, H/2, W/2]
        x = torch.cat([relu(self.up6(x)), skip_32], dim=1)  # [N, 64, H, W]
        x = relu(self.up8(relu(self.conv7(x))))  # [N, 16, 2H, 2W]
        logits: Tensor = self.conv9(x)
        return logits


def doubling(before: int, after: int) -> nn.ConvTranspose2d:
    """A 3×3 transposed convolution that doubles both sides."""
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
