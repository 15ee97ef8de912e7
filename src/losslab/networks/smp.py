"""The architectures and encoders of segmentation-models-pytorch, an optional library (Iakubovskii, 2019)."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from losslab.errors import InputError
from losslab.networks.foreign import Adapted
from losslab.settings.schema import Count

Architecture = Literal[
    "unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus", "pan", "upernet",
    "segformer", "dpt",
]  # fmt: skip


class SMP(Adapted):
    """A decoder on an encoder that was made for classification, random unless `pretrained` says otherwise.

    Args:
        in_channels: channels of the image.
        classes: planes of the output.
        architecture: the decoder, by smp's name.
        encoder: by smp's name, such as `resnet18`, or `tu-` and timm's.
        depth: how often the encoder halves the image's sides.
        decoder_channels: channels of the decoder, coarsest first, or one number, as the architecture wants them; smp's
            default if null.

    `[N, in_channels, H, W]` → logits `[N, classes, H, W]`, of any size: images are padded to what the encoder needs.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        architecture: Architecture = "unet",
        encoder: str = "resnet18",
        depth: Annotated[int, Field(ge=3, le=5)] = 5,
        decoder_channels: tuple[Count, ...] | Count | None = None,
    ) -> None:
        try:
            import segmentation_models_pytorch as smp  # takes seconds, so only where it is used
        except ModuleNotFoundError as error:
            message = f"networks: smp needs {error.name}; install losslab with its extra: losslab[encoders]"
            raise InputError(message) from None
        options: dict[str, Any] = {} if depth == 5 else {"encoder_depth": depth}
        if decoder_channels is not None:
            options["decoder_channels"] = decoder_channels
        build = partial(
            smp.create_model, architecture, encoder, encoder_weights=None, in_channels=in_channels, classes=classes,
            **options,
        )  # fmt: skip
        super().__init__(f"smp {architecture} on {encoder}", build, classes, 2**depth)
        self.multiple = max(self.multiple, int(getattr(self.network.encoder, "output_stride", 1)))
