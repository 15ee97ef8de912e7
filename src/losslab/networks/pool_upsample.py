"""The pool/upsample net of report E: no skip connections, two poolings and two upsamplings."""

from torch import Tensor, nn

from losslab.networks.sizes import any_size
from losslab.settings.schema import Count


class PoolUpsample(nn.Module):
    """3×3 convolutions in → w → 2w → w → classes → classes, batch normalisation and ReLU after the first four.

    Maximum pooling follows the first two, upsampling by the nearest pixel the next two.

    Args:
        in_channels: channels of the image. The report: 1.
        classes: planes of the output. The report: 24.
        width: w above. The report: 32.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size.
    """

    multiple = 4

    def __init__(self, *, in_channels: int, classes: int, width: Count = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(in_channels, width),
            nn.MaxPool2d(2),
            *convolution(width, 2 * width),
            nn.MaxPool2d(2),
            *convolution(2 * width, width),
            nn.Upsample(scale_factor=2),
            *convolution(width, classes),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(classes, classes, 3, padding=1),
        )

    @any_size
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    """A 3×3 convolution, batch normalisation, ReLU."""
    return nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
