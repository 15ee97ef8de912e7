"""Heads at coarser scales: seen by the loss in training, by nothing else, and of no effect where there are none."""

from functools import partial
from typing import Any

import pytest
import torch
import yaml
from projects import ROOT
from pydantic import ValidationError
from torch import nn

from losslab import losses, networks
from losslab.inference.forward import Normalisation
from losslab.settings.params import Train
from losslab.training.deep_supervision import of_heads
from losslab.training.loop import Data, Progress, train


def unet(deep_supervision: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return networks.build("unet", classes=1, width=4, levels=4, deep_supervision=deep_supervision, **options)


def trained(deep_supervision: int) -> Progress:
    """After an epoch of two steps on noise."""
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"]
    settings = Train.model_validate(given | {"epochs": 1, "batch_size": 4, "threads": 1})
    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=noise)
    masks = (images[:, :1] > 200).to(torch.uint8)
    data = Data(images, masks, images, masks, Normalisation.of(images), images.device)
    progress = Progress()
    train(
        partial(unet, deep_supervision),
        losses.build("dice"),
        data,
        settings,
        0,
        torch.float32,
        progress,
        lambda _: None,
        "test",
    )
    return progress


@pytest.mark.parametrize("options", [{}, {"patch": 2, "prior": 0.1}])
def test_coarse_heads_speak_in_training_alone_and_leave_the_finest_as_it_is(options: dict[str, Any]) -> None:
    plain, supervised, images = unet(0, **options), unet(2, **options), torch.randn(2, 3, 40, 32)
    assert all(torch.equal(tensor, supervised.state_dict()[name]) for name, tensor in plain.state_dict().items())
    every = supervised(images)
    assert every.shape == (2, 3, 40, 32)
    assert torch.equal(every[:, :1], plain(images))
    for plane, side in ((1, 2), (2, 4)):
        squares = every[:, plane].unfold(1, side, side).unfold(2, side, side).flatten(3)
        assert torch.equal(squares, squares[..., :1].expand_as(squares))
        assert len(squares[..., 0].unique()) > 100 / side
    assert torch.equal(supervised.eval()(images), plain.eval()(images))


def test_the_loss_is_a_mean_over_heads_of_which_each_weighs_half_of_the_one_before() -> None:
    logits, target = torch.randn(2, 6, 8, 8), (torch.rand(2, 2, 8, 8) < 0.3).float()
    loss = losses.build("boundary")
    maps = loss.target_maps(target)
    value = of_heads(loss, unet(2))(logits, target, maps)
    each = [loss(logits[:, 2 * head : 2 * head + 2], target, maps) for head in range(3)]
    torch.testing.assert_close(value, (4 * each[0] + 2 * each[1] + each[2]) / 7)


def test_without_coarse_heads_the_loss_is_used_as_it_is() -> None:
    loss = losses.build("dice")
    assert of_heads(loss, unet(0)) is loss
    assert of_heads(loss, nn.Conv2d(3, 1, 1)) is loss


def test_void_pixels_reach_no_head() -> None:
    logits, target = torch.randn(1, 3, 16, 16).requires_grad_(), torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    target[..., 4:9, 5:9], target[..., 8:, :] = 1, 255
    of_heads(losses.build("bce"), unet(2))(logits, target, None).backward()
    assert logits.grad is not None
    assert not logits.grad[..., 8:, :].any()
    assert logits.grad[..., :8, :].all()


def test_training_moves_every_head_and_keeps_a_model_of_one_output() -> None:
    progress, start, end = trained(2), unet(2), unet(2)
    end.load_state_dict(progress.kept)
    for before, after in zip(start.coarse_heads.parameters(), end.coarse_heads.parameters(), strict=True):
        assert not torch.equal(before, after)
    assert end.eval()(torch.zeros(1, 3, 16, 16)).shape == (1, 1, 16, 16)
    assert any(not torch.equal(tensor, progress.kept[name]) for name, tensor in trained(0).kept.items())


@pytest.mark.parametrize(("levels", "most"), [(4, 2), (2, 0), (1, 0)])
def test_more_heads_than_decoded_scales_are_refused(levels: int, most: int) -> None:
    networks.build("unet", classes=1, width=4, levels=levels, deep_supervision=most)
    with pytest.raises(ValidationError, match=rf"deep_supervision\n.*more than {most}, .* with {levels} levels"):
        networks.build("unet", classes=1, width=4, levels=levels, deep_supervision=most + 1)
