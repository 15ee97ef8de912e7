"""Networks that start from pretrained weights: loaded, frozen for a while, with a learning rate of their own."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import nn

from losslab.errors import InputError
from losslab.networks import pretrained
from losslab.networks.pretrained import Pretrained
from losslab.settings.params import Train
from losslab.training import processes

ENCODERS = ("encoder", "backbone")
"""What networks call the part that sees the image."""


def started(build: Callable[[], nn.Module], file: Path, settings: Pretrained, label: str) -> Callable[[], nn.Module]:
    """What builds a network and fills it with the weights of a file; what fitted is said the first time."""
    said = False

    def build_and_start() -> nn.Module:
        nonlocal said
        network = build()
        start = pretrained.start(network, file, settings)
        if not said and processes.is_first():
            print(f"{label}: {start}", flush=True)
        said = True
        return network

    return build_and_start


def hold(network: nn.Module, frozen: bool) -> None:
    """Freeze the encoder of a network in training mode for the epoch to come, or let it go.

    Raises:
        InputError: the network has none, or several processes share the run.
    """
    if processes.size() > 1:
        raise InputError("params.yaml: train.freeze: goes with one process; set train.processes to 1")
    for encoder in _encoders(network, "freeze"):
        encoder.requires_grad_(not frozen)
        encoder.train(not frozen)


def groups(network: nn.Module, settings: Train) -> Iterable[Any]:
    """What an optimiser is to train: all parameters alike, or the encoder's with a learning rate of their own."""
    if settings.encoder_lr_factor == 1:
        return network.parameters()
    encoder = [p for module in _encoders(network, "encoder_lr_factor") for p in module.parameters()]
    of_encoder = set(map(id, encoder))
    others = [p for p in network.parameters() if id(p) not in of_encoder]
    return [{"params": others}, {"params": encoder, "lr": settings.optimizer.lr * settings.encoder_lr_factor}]


def _encoders(network: nn.Module, key: str) -> list[nn.Module]:
    """The outermost modules that are called an encoder."""
    names = [name for name, _ in network.named_modules() if name.split(".")[-1] in ENCODERS]
    outermost = [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
    if not outermost:
        raise InputError(f"params.yaml: train.{key}: the network has no part called {' or '.join(ENCODERS)}")
    return [network.get_submodule(name) for name in outermost]
