"""A trained model in one safetensors file that carries everything needed to use it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from losslab import losses, models
from losslab.errors import InputError
from losslab.files import atomic_file
from losslab.inference import Normalisation
from losslab.losses import Loss


@dataclass(frozen=True)
class Model:
    """A network and how to use it: `probabilities ≥ threshold` is the mask of each class."""

    network: nn.Module
    loss: Loss
    classes: tuple[str, ...]
    normalise: Normalisation
    threshold: float
    about: dict[str, Any]
    """All that the file says, as `save` was given it."""


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


def save(path: Path, state: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write weights and the metadata key `losslab`: JSON with `model` and `loss` (as in params.yaml), `classes`,
    `mean`, `std`, `threshold` and what else is of interest. The same content gives the same bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={"losslab": json.dumps(about, sort_keys=True)})


def load(path: Path, device: torch.device) -> Model:
    """Read a model; no code in the file is run.

    Raises:
        InputError: the file is missing, damaged, or not a losslab model.
    """
    try:
        with safe_open(path, "pt", device="cpu") as file:
            about = json.loads(file.metadata()["losslab"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # The file has all weights: those that training started from need not be here.
        spec = {key: value for key, value in about["model"].items() if not key.startswith("weights")}
        classes = tuple(about["classes"])
        network = models.registry.build(spec, in_channels=len(about["mean"]), classes=len(classes))
        network.load_state_dict(state)
        return Model(
            network.to(device, memory_format=torch.channels_last).eval(),  # type: ignore[call-overload]
            losses.registry.build(about["loss"]),
            classes,
            Normalisation(tuple(about["mean"]), tuple(about["std"])),
            float(about["threshold"]),
            about,
        )
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run `dvc repro`") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise InputError(f"{path}: not a losslab model, or damaged ({' '.join(str(error).split())[:200]})") from None
