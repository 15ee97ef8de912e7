"""From uint8 images to logits: what training and prediction do alike."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from losslab.losses import Loss
from losslab.losses.shared.device_constants import constant


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel of the training images, on their 0–255 scale."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Tensor) -> "Normalisation":
        """From uint8 `[N, C, H, W]`; exact integer sums, so the same on any number of threads."""
        counts = torch.zeros(images.shape[1], 256, dtype=torch.int64, device=images.device)
        for part in torch.split(images, 256):  # a set may be larger than memory
            for channel, count in zip(part.unbind(1), counts, strict=True):
                count += torch.bincount(channel.flatten().int(), minlength=256)
        mean, std = [], []
        levels = torch.arange(256, dtype=torch.float64)
        for share in counts.cpu().double() / (images.numel() // images.shape[1]):
            centre = float((share * levels).sum())
            mean.append(centre)
            std.append(max(float((share * (levels - centre).square()).sum()) ** 0.5, 1e-3))
        return cls(tuple(mean), tuple(std))

    @classmethod
    def none(cls, channels: int) -> "Normalisation":
        """Leaves images on their 0–255 scale."""
        return cls((0.0,) * channels, (1.0,) * channels)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 `[N, C, H, W]` → float32, of zero mean and unit deviation if these are the images', channels last."""
        mean, std = (constant(values, images.device).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return images.contiguous(memory_format=torch.channels_last).float().sub_(mean).div_(std)


def forward(network: nn.Module, images: Tensor, normalise: Normalisation, dtype: torch.dtype) -> Tensor:
    """Float32 logits `[N, C, H, W]` of uint8 images `[N, 3, H, W]`, the network computing in `dtype`."""
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        logits: Tensor = network(normalise(images))
    return logits.float()


@torch.no_grad()
def predict_batches(
    network: nn.Module, loss: Loss, images: Tensor, normalise: Normalisation, *, batch_size: int, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Batch by batch: which images, their logits and their probabilities `[n, C, H, W]`."""
    network.eval()
    device = next(network.parameters()).device
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        logits = forward(network, images[batch].to(device), normalise, dtype)
        yield batch, logits, loss.probabilities(logits)
