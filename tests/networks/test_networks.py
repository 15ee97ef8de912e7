"""What every network must do, whatever its kind."""

import doctest
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from losslab import losses, networks
from losslab.errors import InputError

# torchvision takes seconds to import
KINDS = [pytest.param(kind, marks=pytest.mark.slow if kind in ("deeplabv3", "smp") else []) for kind in networks.KINDS]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_example_of_build_is_true() -> None:
    done = doctest.testmod(networks)
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "classes", "height", "width"), [(3, 5, 64, 64), (1, 2, 32, 50)])
def test_logits_have_the_size_of_the_image(kind: str, channels: int, classes: int, height: int, width: int) -> None:
    network = networks.build(kind, in_channels=channels, classes=classes)
    assert network(torch.randn(2, channels, height, width)).shape == (2, classes, height, width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(33, 64), (64, 33), (9, 11)])
def test_images_of_any_size_are_padded_with_their_edge_and_cropped_back(kind: str, height: int, width: int) -> None:
    torch.manual_seed(0)
    network, images = networks.build(kind, classes=2).eval(), torch.randn(2, 3, height, width)
    multiple = getattr(network, "multiple", 1)
    below, right = -height % multiple, -width % multiple
    padded = torch.nn.functional.pad(images, (0, right, 0, below), mode="replicate")
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (2, 2, height, width)
        assert torch.equal(logits, network(padded)[:, :, :height, :width])
    images.requires_grad_()
    network(images).square().sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).any(dim=1).float().mean() > 0.9, "every pixel of the image is seen"


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    torch.manual_seed(0)
    network = networks.build(kind, classes=3)
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if kind == "munet" and unused_in_munet(name):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def unused_in_munet(name: str) -> bool:
    """At depth 16: the second convolution where the width changes, the last six of eight blocks up at 128 channels."""
    block, _, layer = name.rpartition(".")[0].rpartition(".")
    if block in {"skip64to128DN", "skip128to64UP"}:
        return layer.endswith("2")
    chain, _, index = block.partition(".")
    return chain == "skip128UP_arr" and int(index) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_the_weights(kind: str) -> None:
    def weights() -> list[torch.Tensor]:
        torch.manual_seed(3)
        return [p.detach() for p in networks.build(kind, classes=3).parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(), weights(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_the_loss(kind: str) -> None:
    torch.manual_seed(0)
    network, loss = networks.build(kind, classes=2), losses.build("bce")
    images = torch.randn(4, 3, 32, 32)
    masks = images[:, :2].gt(0.5)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    values = []
    for _ in range(8):
        value = loss(network(images), masks)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert min(values[4:]) < values[0]


def test_the_unet_of_the_paper_has_its_parameters() -> None:
    network = networks.build("unet", in_channels=1, classes=2, width=64, levels=5, norm="none")
    convolutions = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    convolutions += [(512, 1024), (1024, 1024)]
    convolutions += [pair for c in (512, 256, 128, 64) for pair in ((2 * c, c), (c, c))]
    expected = sum(9 * i * o + o for i, o in convolutions)
    expected += sum(4 * 2 * c * c + c for c in (512, 256, 128, 64)) + 64 * 2 + 2
    assert parameters(network) == expected


class TestPatches:
    """A U-Net whose positions are squares of pixels."""

    @pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 22), (7, 5), (64, 33)])
    @pytest.mark.parametrize("patch", [2, 3])
    def test_any_size_of_image_is_taken(self, patch: int, height: int, width: int) -> None:
        network = networks.build("unet", classes=3, width=4, levels=2, patch=patch)
        assert network(torch.randn(2, 3, height, width)).shape == (2, 3, height, width)

    def test_pixels_of_a_square_start_alike_and_are_learned_each_for_itself(self) -> None:
        torch.manual_seed(0)
        network = networks.build("unet", classes=2, width=4, levels=2, patch=2)
        before = network(torch.randn(1, 3, 8, 8))
        squares = before.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
        assert torch.equal(squares, squares[..., :1].expand_as(squares))
        before[:, :, ::2, ::2].sum().backward()
        gradients = network.head.bias.grad.view(2, 4)
        assert gradients[:, 0].all()
        assert not gradients[:, 1:].any()

    def test_a_pixel_reaches_the_squares_within_two_convolutions(self) -> None:
        torch.manual_seed(0)
        network = networks.build("unet", classes=1, width=8, levels=1, norm="none", patch=4)
        images = torch.randn(1, 3, 32, 32)
        changed = images.clone()
        changed[0, :, 17, 18] += 1
        difference = (network(changed) - network(images))[0, 0] != 0
        # Two 3×3 convolutions of squares: two squares each way from the square at rows and columns 16 to 19.
        rows, columns = difference.nonzero().unbind(1)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 27, 8, 27)

    def test_padding_is_seen_by_the_last_squares_only(self) -> None:
        torch.manual_seed(0)
        network = networks.build("unet", classes=2, width=4, levels=2, norm="none", patch=4).eval()
        images = torch.randn(1, 3, 13, 30)
        padded = torch.nn.functional.pad(images, (0, 2, 0, 3), mode="replicate")
        assert torch.equal(network(images), network(padded)[:, :, :13, :30])


def test_prior_is_the_probability_of_every_plane_at_first() -> None:
    torch.manual_seed(0)
    network = networks.build("unet", classes=2, patch=2, prior=0.02)
    assert network.head.bias.sigmoid().tolist() == pytest.approx([0.02] * 8)
    assert 0.01 < network(torch.randn(4, 3, 32, 32)).sigmoid().median() < 0.04


def test_munet_has_the_published_parameters() -> None:
    network = networks.build("munet", classes=5, depth=16)
    assert parameters(network) == 6_999_109
    assert len(list(network.parameters())) == 324


def test_nine_layer_has_the_parameters_of_its_shapes() -> None:
    shapes = [(3, 32), (32, 64), (64, 128), (128, 64), (128, 64), (64, 32), (64, 32), (32, 16)]
    expected = sum(9 * before * after + after for before, after in shapes) + 16 * 6 + 6
    assert parameters(networks.build("nine_layer", classes=6)) == expected


@pytest.mark.parametrize("kind", ["pool_upsample", "strided_transposed"])
def test_the_colour_nets_have_the_parameters_of_their_shapes(kind: str) -> None:
    shapes = [(1, 32), (32, 64), (64, 32), (32, 24), (24, 24)]
    expected = sum(9 * before * after + after for before, after in shapes) + 2 * (32 + 64 + 32 + 24)
    assert parameters(networks.build(kind, in_channels=1, classes=24)) == expected


@pytest.mark.slow
class TestDeepLabV3:
    @staticmethod
    def saved(path: Path, state: Any) -> dict[str, str]:
        torch.save(state, path)
        return {"weights": str(path), "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    @pytest.mark.parametrize("whole", [True, False])
    def test_it_starts_from_weights_of_the_network_or_its_backbone(self, tmp_path: Path, whole: bool) -> None:
        from torchvision.models import resnet50
        from torchvision.models.segmentation import deeplabv3_resnet50

        torch.manual_seed(1)
        source = deeplabv3_resnet50(weights_backbone=None, num_classes=21) if whole else resnet50()
        state = source.state_dict()
        network = networks.build("deeplabv3", classes=2, **self.saved(tmp_path / "weights.pth", state)).network
        prefix = "" if whole else "backbone."
        fitting = {f"{prefix}{name}" for name in state} & set(network.state_dict())
        assert len([name for name in fitting if name.startswith("backbone.")]) == 318
        for name in fitting - {"classifier.4.weight", "classifier.4.bias"}:
            assert torch.equal(network.state_dict()[name], state[name.removeprefix(prefix)]), name
        assert network.classifier[4].out_channels == 2

    def test_other_weights_and_no_checksum_are_refused(self, tmp_path: Path) -> None:
        options = self.saved(tmp_path / "weights.pth", networks.build("unet", classes=2).state_dict())
        with pytest.raises(InputError, match="not the weights of a ResNet-50 for 3 channels"):
            networks.build("deeplabv3", classes=2, **options)
        with pytest.raises(InputError, match="sha256"):
            networks.build("deeplabv3", classes=2, **options | {"weights_sha256": "0" * 64})
        with pytest.raises(InputError, match=r"networks: deeplabv3\.weights_sha256: missing"):
            networks.build("deeplabv3", classes=2, weights=options["weights"])
        (tmp_path / "words.pth").write_text("words", encoding="utf-8")
        sha256 = hashlib.sha256(b"words").hexdigest()
        with pytest.raises(InputError, match="not a file of weights"):
            networks.build("deeplabv3", classes=2, weights=str(tmp_path / "words.pth"), weights_sha256=sha256)
        with pytest.raises(OSError, match=r"missing\.pth"):
            networks.build("deeplabv3", classes=2, weights=str(tmp_path / "missing.pth"), weights_sha256=sha256)

    def test_one_image_a_batch_is_refused_in_training_alone(self) -> None:
        network = networks.build("deeplabv3", classes=2)
        with pytest.raises(InputError, match=r"train\.batch_size"):
            network(torch.randn(1, 3, 32, 32))
        assert network.eval()(torch.randn(1, 3, 32, 32)).shape == (1, 2, 32, 32)
