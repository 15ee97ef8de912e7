"""A trained model in one safetensors file that carries everything needed to use it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from losslab import losses, networks
from losslab.errors import InputError
from losslab.inference.forward import Normalisation
from losslab.losses import Loss
from losslab.results.files import atomic_file
from losslab.settings import allowed
from losslab.settings.schema import refuse_bomb


@dataclass(frozen=True)
class Model:
    """A network and how to use it: `probabilities ≥ threshold` is the mask of each class; where classes exclude each
    other, a pixel is of the most probable one."""

    network: nn.Module
    loss: Loss
    classes: tuple[str, ...]
    normalise: Normalisation
    threshold: float
    metadata: dict[str, Any]
    """All that the file says, as `save` was given it."""
    exclusive: bool = False
    padded: bool = False
    """Whether images were padded to `image_size`; else they were stretched."""


class Probabilities(nn.Module):
    """A model as one network, to be exported: uint8 `[N, 3, H, W]` → probabilities float32 `[N, C, H, W]`."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.loss = model.network, model.loss
        for name, values in (("mean", model.normalise.mean), ("std", model.normalise.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.loss.probabilities(self.network((images.float() - self.mean) / self.std))


class _Metadata(BaseModel):
    """What the metadata of a file from anywhere has to be, as far as it is used."""

    network: dict[str, Any]
    loss: dict[str, Any]
    train: dict[str, Any] = {}
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    mean: tuple[FiniteFloat, ...]
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    threshold: Annotated[float, Field(ge=0, le=1)]
    exclusive: bool = False
    padded: bool = False
    image_size: Annotated[tuple[Annotated[int, Field(ge=1, le=1 << 14)], ...], Field(max_length=2)] = ()


def save(path: Path, state: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write weights and the metadata key `losslab`: JSON with `network` and `loss` (as in params.yaml), `classes`,
    `mean`, `std`, `threshold`, `exclusive`, `padded` and what else is of interest. The same content, the same bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_file(path) as temporary:
        temporary.write_bytes(to_bytes(tensors, {"losslab": json.dumps(metadata, sort_keys=True)}))


def load(path: Path, device: torch.device) -> Model:
    """Read a model; no code in the file is run, and it takes no more memory than its size calls for.

    Raises:
        InputError: the file is missing, damaged, or not a losslab model, or it names code that may not run here.
    """
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = json.loads(file.metadata()["losslab"])
            refuse_bomb([metadata["network"], metadata["loss"]])
            said = _Metadata.model_validate(metadata)
            _refuse_what_is_not_allowed(said)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            # The file has all weights: those that training started from are not looked for.
            spec = {key: value for key, value in metadata["network"].items() if not key.startswith("weights")}
            classes = tuple(metadata["classes"])
            build = partial(networks.registry.build, spec, in_channels=len(metadata["mean"]), classes=len(classes))
            _compare(build, shapes)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = build()
        network.load_state_dict(state)
        return Model(
            network.to(device, memory_format=torch.channels_last).eval(),  # type: ignore[call-overload]
            losses.registry.build(metadata["loss"], **({"exclusive": True} if said.exclusive else {})),
            classes,
            Normalisation(tuple(metadata["mean"]), tuple(metadata["std"])),
            float(metadata["threshold"]),
            metadata,
            said.exclusive,
            said.padded,
        )
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise InputError(f"{path}: not a losslab model, or damaged ({' '.join(str(error).split())[:200]})") from None


def _refuse_what_is_not_allowed(said: _Metadata) -> None:
    """Say so where the network or loss of a file is code from elsewhere that the project here has not allowed."""
    for part in (said.network, said.loss):
        if allowed.is_import_path(part.get("kind")):
            try:
                allowed.named(part["kind"])
            except ValidationError as error:
                raise InputError(error.errors()[0]["msg"]) from None


def _compare(build: Callable[[], nn.Module], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a network whose tensors are not those of the file, before any memory is taken for it."""
    registered = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal registered
        registered += 1
        if registered > len(shapes):
            raise ValueError("the network has more weights than the file")

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            network = build()
    finally:
        hook.remove()
    if {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} != shapes:
        raise ValueError("the weights in the file are not those of its network")
