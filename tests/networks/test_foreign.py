"""Networks from elsewhere: arguments by any name, outputs of any form; sizes and batches that fail are a line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import own_code
import pytest
import torch
import yaml
from projects import ROOT
from pydantic import ValidationError
from torch import nn

from losslab import __main__ as command_line
from losslab import networks
from losslab.errors import InputError

SHAPES = """
from types import SimpleNamespace

import torch
from torch import nn


class Shape(nn.Module):
    def __init__(self, in_channels, num_classes, form="tensor", stride=1, need=1):
        super().__init__()
        self.head, self.form, self.need = nn.Conv2d(in_channels, num_classes, 1, stride=stride), form, need
        self.norm = nn.BatchNorm1d(num_classes)

    def forward(self, x):
        if x.shape[2] % self.need:
            raise RuntimeError("Wrong input shape")
        y = self.head(x)
        if self.form == "pooled":
            return y + self.norm(y.mean((2, 3)))[:, :, None, None]
        if self.form == "transposed":
            return y.transpose(0, 1)
        forms = {"tensor": y, "out": {"out": y, "aux": y[:1]}, "logits": {"logits": y}, "tuple": (y, y.mean()),
                 "object": SimpleNamespace(logits=y), "words": "words", "list": [y], "none": None, "empty": {}}
        return forms[self.form]


class NoClasses(nn.Module):
    def __init__(self, depth, heads=2):
        super().__init__()


class Raises(nn.Module):
    def __init__(self, in_channels, classes):
        raise KeyError("width")


class Any(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.head = nn.Conv2d(kwargs["channels_in"], kwargs["planes"], 1)

    def forward(self, x):
        return self.head(x)


def number(classes):
    return 3


def made(num_classes, weights_backbone="DEFAULT", pretrained=False, progress=True):
    assert weights_backbone is None and pretrained is False
    return nn.Conv2d(3, num_classes, 1)
"""


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("nets")
    allow = ["my_nets", "shapes_of_output", "torchvision.models.segmentation"]
    with own_code.beside_params(path, allow, own_code.FILES | {"shapes_of_output.py": SHAPES}):
        yield path


def shape(**options: Any) -> nn.Module:
    return networks.registry.build({"kind": "shapes_of_output:Shape", "options": options}, in_channels=3, classes=2)


def test_arguments_are_known_by_any_of_their_names_and_stand_in_the_spec() -> None:
    complete = networks.registry.complete({"kind": "my_nets:Plain"})
    assert complete == {
        "kind": "my_nets:Plain", "options": {"width": 8}, "in_channels": "n_channels", "classes": "n_classes",
        "multiple": 1,
    }  # fmt: skip
    assert networks.registry.complete(complete) == complete
    network = networks.registry.build(complete, in_channels=1, classes=4)
    assert network(torch.randn(2, 1, 9, 7)).shape == (2, 4, 9, 7)


def test_arguments_by_names_of_one_s_own_are_said() -> None:
    spec = {"kind": "shapes_of_output:Any", "in_channels": "channels_in", "classes": "planes"}
    network = networks.registry.build(spec, in_channels=3, classes=5)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5, 8, 8)


def test_the_seed_fixes_the_weights() -> None:
    def weights() -> list[torch.Tensor]:
        torch.manual_seed(3)
        return [p.detach() for p in shape().parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(), weights(), strict=True))


@pytest.mark.parametrize("form", ["tensor", "out", "logits", "tuple", "list", "object"])
def test_the_logits_are_found_in_what_it_gives(form: str) -> None:
    assert shape(form=form)(torch.randn(2, 3, 8, 6)).shape == (2, 2, 8, 6)


def test_logits_of_another_resolution_are_resized_to_the_image() -> None:
    network, images = shape(stride=4), torch.randn(2, 3, 32, 20)
    small = network.network(images)
    assert small.shape[2:] == (8, 5)
    expected = torch.nn.functional.interpolate(small, size=(32, 20), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(images), expected)


def test_images_are_padded_to_the_multiple_that_it_needs() -> None:
    spec = {"kind": "shapes_of_output:Shape", "options": {"need": 16}, "multiple": 16}
    network, images = networks.registry.build(spec, in_channels=3, classes=2), torch.randn(2, 3, 17, 33)
    torch.testing.assert_close(network(images), network.network.head(images))


def test_weights_of_the_network_s_own_are_off() -> None:
    spec = {"kind": "shapes_of_output:made"}
    assert networks.registry.complete(spec)["options"] == {
        "weights_backbone": None,
        "pretrained": False,
        "progress": True,
    }
    network = networks.registry.build(spec, in_channels=3, classes=2)
    assert network(torch.randn(2, 3, 4, 4)).shape == (2, 2, 4, 4)
    with pytest.raises(InputError, match="has no argument for channels, and the images have 1"):
        networks.registry.build(spec, in_channels=1, classes=2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "my_nets:Plain", "options": {"widht": 3}}, r"options\.widht\n.*did you mean 'width'\?"),
        ({"kind": "my_nets:Plain", "options": 3}, r"options\n.*is not a mapping"),
        ({"kind": "my_nets:Plain", "width": 3}, r"width\n.*stands below `options`"),
        ({"kind": "my_nets:Plain", "options": {"n_classes": 3}}, r"options\.n_classes\n.*filled in by losslab; remove"),
        ({"kind": "my_nets:Plain", "classes": "planes"}, r"classes\n.*Plain has no argument 'planes'; it has: n_chann"),
        ({"kind": "my_nets:Plain", "multiple": 0}, r"multiple"),
        ({"kind": "shapes_of_output:made", "options": {"pretrained": True}}, r"options\.pretrained\n.*no connection"),
        (
            {"kind": "shapes_of_output:made", "options": {"weights_backbone": "DEFAULT"}},
            r"options\.weights_backbone\n.*name the file by `pretrained` beside `options`",
        ),
        ({"kind": "shapes_of_output:NoClasses"}, r"classes\n.*which argument of NoClasses is the number of classes"),
    ],
)
def test_what_is_wrong_with_the_settings_is_named(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        networks.registry.complete(spec)


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        ({"need": 16}, (2, 3, 17, 16), r"fails on images of 17×16 \(RuntimeError: Wrong input shape\)"),
        ({"form": "pooled"}, (1, 3, 8, 8), "train.batch_size: .* needs at least 2 images a batch"),
        ({"form": "transposed"}, (3, 3, 8, 8), r"gives \[2, 3, 8, 8\] in place of \[3, 2, H, W\]"),
        ({"form": "words"}, (2, 3, 8, 8), "gives no tensor in place of"),
        ({"form": "none"}, (2, 3, 8, 8), "gives no tensor in place of"),
        ({"form": "empty"}, (2, 3, 8, 8), "gives no tensor in place of"),
    ],
)
def test_what_it_cannot_do_is_a_line(options: dict[str, Any], images: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shape(**options)(torch.randn(images))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Raises", r"shapes_of_output:Raises cannot be built \(KeyError: 'width'\)"),
        ("number", "shapes_of_output:number gives a int in place of an nn.Module"),
    ],
)
def test_what_cannot_be_built_is_a_line(kind: str, message: str) -> None:
    spec = {"kind": f"shapes_of_output:{kind}", "in_channels": None if kind == "number" else "in_channels"}
    with pytest.raises(InputError, match=message):
        networks.registry.build(spec, in_channels=3, classes=2)


def test_check_says_what_is_guessed_and_tries_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["networks"] |= {"mine": {"kind": "my_nets:Plain"}, "bad": {"kind": "shapes_of_output:Raises"}}
    settings["grid"]["networks"] = ["mine"]
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command_line.check()
    said = capsys.readouterr().out
    assert '\nnetworks.mine: {"kind": "my_nets:Plain", "options": {"width": 8}, "in_channels": "n_channels"' in said
    assert "\n  ok    images [2, 3, 64, 64] to logits [2, 2, 64, 64]: 258 parameters\n" in said
    settings["grid"]["networks"] = ["bad"]
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with pytest.raises(InputError, match="shapes_of_output:Raises cannot be built"):
        command_line.check()


@pytest.mark.slow
def test_torchvision_s_networks_are_taken_as_they_are() -> None:
    spec = {"kind": "torchvision.models.segmentation:lraspp_mobilenet_v3_large"}
    network = networks.registry.build(spec, in_channels=3, classes=5)
    assert network(torch.randn(2, 3, 33, 64)).shape == (2, 5, 33, 64)


class TestSMP:
    """The kind `smp`, of a library that is an extra."""

    def test_without_the_library_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
        with pytest.raises(InputError, match=r"networks: smp needs .*; install losslab with its extra: losslab\[enc"):
            networks.build("smp", classes=2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"architecture": "unetpp"}, "'unetpp' is not one of|Input should be 'unet'"),
            ({"depth": 6}, "depth"),
            ({"encoder_weights": "imagenet"}, "unknown key"),
        ],
    )
    def test_options_are_checked(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            networks.registry.complete({"kind": "smp", **options})

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            {"architecture": "unet", "encoder": "resnet18", "depth": 3, "decoder_channels": [32, 16, 8]},
            {"architecture": "fpn", "encoder": "mobilenet_v2"},
            {"architecture": "deeplabv3plus", "encoder": "resnet18", "decoder_channels": 32},
            {"architecture": "unet", "encoder": "tu-tf_efficientnet_lite0"},
        ],
    )
    def test_architectures_and_encoders_are_built_without_a_connection(self, options: dict[str, Any]) -> None:
        network = networks.build("smp", classes=3, **options).eval()
        assert network(torch.randn(1, 3, 33, 70)).shape == (1, 3, 33, 70)

    @pytest.mark.slow
    def test_what_the_library_refuses_is_a_line(self) -> None:
        with pytest.raises(InputError, match=r"networks: smp unet on resnet19 cannot be built \(KeyError: .*resnet19"):
            networks.build("smp", classes=3, encoder="resnet19")
