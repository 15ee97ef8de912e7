"""Image sizes that a network can take."""

from torch import Tensor

from losslab.errors import InputError


def need_multiple(images: Tensor, multiple: int, kind: str) -> None:
    """Refuse images `[N, C, H, W]` whose sides are not multiples of `multiple`.

    Raises:
        InputError: names the network, the size and what would do.
    """
    height, width = images.shape[2:]
    if height % multiple or width % multiple:
        raise InputError(f"networks: {kind} needs image sides that are multiples of {multiple}; got {height}×{width}")
