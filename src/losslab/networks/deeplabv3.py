"""DeepLabV3 (Chen, Papandreou, Schroff and Adam, 2017) with a ResNet-50, from torchvision."""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from losslab.errors import InputError
from losslab.results.files import verify


class DeepLabV3(nn.Module):
    """Dilated ResNet-50 at 1/8 of the size, parallel convolutions of several dilations, upsampled to the image's size.

    Args:
        in_channels: channels of the image.
        classes: planes of the output.
        weights: file of pretrained weights as torchvision distributes them, of the whole network or of its ResNet-50;
            what fits neither (a head with other classes) stays random. None: everything is random.
        weights_sha256: checksum of that file, so that other weights are another setting.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size; N ≥ 2 in training.
    """

    def __init__(
        self, *, in_channels: int, classes: int, weights: str | None = None, weights_sha256: str | None = None
    ) -> None:
        super().__init__()
        from torchvision.models.segmentation import deeplabv3_resnet50  # takes seconds, so only where it is used

        self.network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=classes, aux_loss=False)
        if in_channels != 3:
            self.network.backbone.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        if weights is not None:
            self._start_from(Path(weights), weights_sha256)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) < 2:
            # Its pooled branch normalises one value per image and channel.
            raise InputError("train.batch_size: deeplabv3 needs at least 2 images a batch")
        logits: Tensor = self.network(x)["out"]
        return logits

    def _start_from(self, path: Path, sha256: str | None) -> None:
        if sha256 is None:
            raise InputError(f"params.yaml: networks: deeplabv3.weights_sha256: missing; give the checksum of {path}")
        verify(path, sha256, str(path))
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
        except (RuntimeError, EOFError, AttributeError, pickle.UnpicklingError) as error:
            raise InputError(f"{path}: not a file of weights ({' '.join(str(error).split())[:100]})") from None
        if "conv1.weight" in state:  # a ResNet by itself
            state = {f"backbone.{name}": tensor for name, tensor in state.items()}
        own = self.network.state_dict()
        fitting = {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}
        lacking = [name for name in own if name.startswith("backbone.") and name not in fitting]
        if lacking:
            raise InputError(
                f"{path}: not the weights of a ResNet-50 for {own['backbone.conv1.weight'].shape[1]} channels; "
                f"{lacking[0]} is missing or of another shape"
            )
        self.network.load_state_dict(fitting, strict=False)
