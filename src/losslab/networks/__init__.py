"""Segmentation networks, one file per kind.

`build("unet", in_channels=3, classes=5, width=16)` gives an `nn.Module` from `[N, in_channels, H, W]` to logits
`[N, classes, H, W]`. To add a network, write its file, add its line to `KINDS` and name it in params.yaml.
"""

from typing import Any

from torch import nn

from losslab.networks.pretrained import Pretrained
from losslab.settings.registry import Registry

KINDS = {
    "deeplabv3": "deeplabv3:DeepLabV3",
    "munet": "munet:MUNet",
    "nine_layer": "nine_layer:NineLayer",
    "pool_upsample": "pool_upsample:PoolUpsample",
    "smp": "smp:SMP",
    "strided_transposed": "strided_transposed:StridedTransposed",
    "unet": "unet:UNet",
}

registry: Registry[nn.Module] = Registry(
    __name__, KINDS, given=("in_channels", "classes"), adapter="foreign", common={"pretrained": Pretrained}
)


def build(kind: str, *, in_channels: int = 3, classes: int, **options: Any) -> nn.Module:
    """The network `kind`; a `pydantic.ValidationError` names what is wrong with its options.

    >>> import torch
    >>> network = build("unet", classes=5, width=8, levels=3)
    >>> network(torch.zeros(2, 3, 64, 48)).shape
    torch.Size([2, 5, 64, 48])
    """
    return registry.build({"kind": kind, **options}, in_channels=in_channels, classes=classes)
