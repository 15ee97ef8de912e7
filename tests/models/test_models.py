"""What every network must do, whatever its kind."""

import pytest
import torch

from losslab import models

KINDS = list(models.KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "classes", "height", "width"), [(3, 5, 64, 64), (1, 2, 33, 50)])
def test_logits_have_the_size_of_the_image(kind: str, channels: int, classes: int, height: int, width: int) -> None:
    network = models.build(kind, in_channels=channels, classes=classes)
    assert network(torch.randn(2, channels, height, width)).shape == (2, classes, height, width)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    torch.manual_seed(0)
    network = models.build(kind, classes=3)
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_the_weights(kind: str) -> None:
    def weights() -> list[torch.Tensor]:
        torch.manual_seed(3)
        return [p.detach() for p in models.build(kind, classes=3).parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(), weights(), strict=True))


def test_the_unet_of_the_paper_has_its_parameters() -> None:
    network = models.build("unet", in_channels=1, classes=2, width=64, levels=5, norm="none")
    convolutions = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions += [(512, 1024), (1024, 1024)]
    convolutions += [pair for c in (512, 256, 128, 64) for pair in ((2 * c, c), (c, c))]
    expected = sum(9 * i * o + o for i, o in convolutions)
    expected += sum(4 * 2 * c * c + c for c in (512, 256, 128, 64)) + 64 * 2 + 2
    assert sum(p.numel() for p in network.parameters()) == expected
