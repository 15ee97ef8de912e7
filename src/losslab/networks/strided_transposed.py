"""The strided/transposed net of report E: as its pool/upsample net, but sizes change within convolutions."""

from torch import Tensor, nn

from losslab.networks.sizes import any_size
from losslab.settings.schema import Count


class StridedTransposed(nn.Module):
    """3×3 convolutions in → w → 2w of stride 2, transposed ones 2w → w → classes of stride 2, and one more of stride 1.

    Batch normalisation and ReLU after the first four.

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
            *normalised(nn.Conv2d(in_channels, width, 3, stride=2, padding=1)),
            *normalised(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),
            *normalised(nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)),
            *normalised(nn.ConvTranspose2d(width, classes, 3, stride=2, padding=1, output_padding=1)),
            nn.Conv2d(classes, classes, 3, padding=1),
        )

    @any_size
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    """The convolution, batch normalisation, ReLU."""
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)
