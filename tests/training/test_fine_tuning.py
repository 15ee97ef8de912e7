"""An encoder with pretrained weights: frozen for some epochs, then trained with a learning rate of its own."""

from typing import Any

import pytest
import torch
from torch import nn

from losslab import losses, networks
from losslab.errors import InputError
from losslab.inference.forward import Normalisation
from losslab.settings.params import Train
from losslab.training import fine_tuning, loop
from losslab.training.loop import Data, Progress


def settings(**keys: Any) -> Train:
    common = {
        "seeds": [0],
        "epochs": 3,
        "batch_size": 2,
        "schedule": "constant",
        "augment": {"flips": False},
        "keep": "last",
    }
    machine = {"precision": "float32", "device": "cpu", "threads": 1, "deterministic": True}
    optimizer = {"kind": "adamw", "lr": 0.01, "weight_decay": 0.1}
    return Train.model_validate({**common, **machine, "optimizer": optimizer, **keys})


def unet() -> nn.Module:
    return networks.build("unet", classes=1, width=4, levels=2)


def encoders(train: Train, progress: Progress | None = None) -> list[dict[str, torch.Tensor]]:
    """The encoder's weights and statistics after each epoch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    masks = (images[:, :1] > 128).to(torch.uint8)
    data = Data(images, masks, images, masks, Normalisation.of(images), torch.device("cpu"))
    states: list[dict[str, torch.Tensor]] = []

    def keep(progress: Progress) -> None:
        state = progress.state["network"]
        states.append({name: t.clone() for name, t in state.items() if name.startswith("encoder.")})

    progress = Progress() if progress is None else progress
    loop.train(unet, losses.build("bce"), data, train, 0, torch.float32, progress, keep, "test")
    return states


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_frozen_encoder_stays_as_it_started_until_it_is_let_go() -> None:
    torch.manual_seed(0)
    start = {name: tensor for name, tensor in unet().state_dict().items() if name.startswith("encoder.")}
    first, second, third = encoders(settings(freeze=2))
    assert same(start, first)
    assert same(start, second)
    assert not any(torch.equal(third[name], tensor) for name, tensor in start.items() if tensor.ndim > 1)


def test_a_run_that_is_resumed_ends_the_same() -> None:
    options: dict[str, Any] = {"freeze": 1, "encoder_lr_factor": 0.5}
    whole = encoders(settings(**options))
    progress = Progress()
    first = encoders(settings(**options, epochs=1), progress)  # with a constant rate, the first epoch of three
    rest = encoders(settings(**options), progress)
    assert same(first[0], whole[0])
    assert len(rest) == 2
    assert same(rest[-1], whole[-1])


def test_the_encoder_has_a_learning_rate_of_its_own() -> None:
    network, train = unet(), settings(encoder_lr_factor=0.1)
    optimizer = loop.build_optimizer(network, train)
    others, encoder = optimizer.param_groups
    assert (others["lr"], encoder["lr"]) == (0.01, pytest.approx(0.001))
    assert {id(p) for p in encoder["params"]} == {id(p) for p in network.encoder.parameters()}
    assert len(others["params"]) + len(encoder["params"]) == len(list(network.parameters()))
    loop.build_schedule(optimizer, settings(schedule="one_cycle"), 10)
    assert others["max_lr"] == pytest.approx(10 * encoder["max_lr"])


def test_a_network_without_an_encoder_cannot_have_it_frozen() -> None:
    with pytest.raises(InputError, match=r"train\.freeze: the network has no part called encoder or backbone"):
        fine_tuning.hold(networks.build("pool_upsample", classes=2), True)
    with pytest.raises(InputError, match=r"train\.encoder_lr_factor: the network has no part"):
        loop.build_optimizer(networks.build("pool_upsample", classes=2), settings(encoder_lr_factor=0.1))


def test_several_processes_cannot_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"train\.freeze: goes with one process"):
        fine_tuning.hold(unet(), True)
