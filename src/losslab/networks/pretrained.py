"""The weights that a network starts from: fetched by the stage `weights`, fitted to the network by the names they have.

    networks:
      fine_tuned:
        kind: smp
        encoder: resnet34
        pretrained: {source: weights/resnet34.pth, sha256: …}

A source is a file, a URL, a package as name==version, or a model that losslab trained. Where a package or an archive
holds several files of weights, `member` says which.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, StringConstraints
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from losslab.errors import InputError
from losslab.settings.schema import Positive, Section

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's images on a scale of 0 to 1, with which most encoders were trained."""

Channels = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


class Pretrained(Section):
    """The key `pretrained` of a network in params.yaml."""

    source: str
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    member: str | None = None
    """Name of the file of weights in a package or an archive; null: the only one there is."""
    part: str | None = None
    """Part of the network that the weights are of, such as `encoder`; null: the part that most of them fit."""
    match: Literal["names", "order"] = "names"
    """Whether tensors are found by name, or one after the other, for a network whose tensors have other names there."""
    mean: Channels | None = None
    """Of the images it was trained on, by channel, on a scale of 0 to 1; null: those of a losslab model's file, or
    ImageNet's."""
    std: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None


@dataclass(frozen=True)
class Started:
    """What a network started from."""

    part: str
    """Where in the network the weights went; empty: the whole."""
    fitting: int
    lacking: list[str]
    """Tensors of that part that the file does not have, which stay random."""
    unused: list[str]
    """Tensors of the file that the part does not have, or of another shape."""

    def __str__(self) -> str:
        said = f"{self.fitting} tensors of {self.part or 'the network'} from the file"
        for names, what in ((self.lacking, "stay random"), (self.unused, "of the file are not used")):
            if names:
                said += f"; {len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        return said


def start(network: nn.Module, file: Path, settings: Pretrained) -> Started:
    """Fill a network with the weights of a file, as far as names and shapes fit.

    Raises:
        InputError: none fits, the network has no such part, or the file is damaged.
    """
    try:
        state = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file}: not a file of weights ({error}); run `dvc repro --force weights`") from None
    parts = {name: module for name, module in network.named_modules() if name.count(".") <= 3}
    if settings.part is not None:
        parts = {name: module for name, module in parts.items() if f".{name}".endswith(f".{settings.part}")}
        if not parts:
            raise InputError(f"params.yaml: networks: pretrained.part: the network has no '{settings.part}'")

    fits = _fitting_by_name if settings.match == "names" else partial(_fitting_in_order, _order(file))
    pairs = {name: fits(state, module.state_dict()) for name, module in parts.items()}
    part = max(pairs, key=lambda name: len(pairs[name]))  # of equals the outermost
    own, fitting = parts[part].state_dict(), pairs[part]
    if not any(own[name].ndim for name in fitting):
        some, other = ", ".join(list(state)[:3]), ", ".join(list(own)[:3])
        raise InputError(f"{settings.source}: none of its tensors fits; it has {some}, …; the network has {other}, …")
    parts[part].load_state_dict({name: state[source] for name, source in fitting.items()}, strict=False)
    lacking, unused = own.keys() - fitting.keys(), state.keys() - set(fitting.values())
    return Started(part, len(fitting), sorted(lacking), sorted(unused))


def _fitting_by_name(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """Names in a part of the network → names in the file of the tensors that fit."""
    return {name: name for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}


def _fitting_in_order(order: Sequence[str], state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, str]:
    """The same, one tensor after the other; none unless the file has every tensor of the part."""
    pairs = dict(zip(own, order, strict=False))
    fit = len(pairs) == len(own) and all(own[name].shape == state[source].shape for name, source in pairs.items())
    return pairs if fit else {}


def _order(file: Path) -> list[str]:
    """The names of a file's tensors as they were before safetensors sorted them."""
    with safe_open(file, "pt", device="cpu") as opened:
        order: list[str] = json.loads(opened.metadata()["order"])
    return order


def normalisation(file: Path, settings: Pretrained) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel, on a scale of 0 to 255, of the images that the weights were trained on."""
    with safe_open(file, "pt", device="cpu") as opened:
        said = json.loads((opened.metadata() or {}).get("losslab", "{}"))
    mean = tuple(said["mean"]) if "mean" in said else tuple(255 * value for value in IMAGENET[0])
    std = tuple(said["std"]) if "std" in said else tuple(255 * value for value in IMAGENET[1])
    if settings.mean is not None:
        mean = tuple(255 * value for value in settings.mean)
    if settings.std is not None:
        std = tuple(255 * value for value in settings.std)
    return mean, std


def write_weights(path: Path, file: Path, source: str) -> None:
    """Write the tensors of a file of weights as safetensors, with the metadata of a model of losslab's.

    Raises:
        InputError: it holds no weights.
    """
    tensors, metadata = weights_in(file, source)
    kept = {key: metadata[key] for key in ("losslab",) if key in metadata}
    save_file(tensors, path, kept | {"order": json.dumps(list(tensors))})


def weights_in(path: Path, source: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file of weights, and its metadata; nothing in it is run.

    A safetensors file or one of `torch.save`; wrappers such as `{"state_dict": …}` and prefixes such as `module.` of
    all names are taken off.

    Raises:
        InputError: it is neither, or holds no tensors.
    """
    metadata: dict[str, str] = {}
    try:
        with safe_open(path, "pt", device="cpu") as opened:
            metadata = opened.metadata() or {}
        state: Any = load_file(path)
    except SafetensorError:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # of any kind, for a file of any content
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{source}: neither safetensors nor weights alone of torch.save ({reason})") from None
    while isinstance(state, dict) and not any(isinstance(value, Tensor) for value in state.values()):
        wrapped = [state[key] for key in ("state_dict", "model_state_dict", "model", "weights") if key in state]
        state = wrapped[0] if wrapped else None
    if not isinstance(state, dict):
        raise InputError(f"{source}: holds no tensors by name")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "model."):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, metadata
