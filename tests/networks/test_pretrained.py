"""A network starts from weights as far as they fit, says what did not, and refuses those of which none fits."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from losslab import networks
from losslab.errors import InputError
from losslab.networks import pretrained
from losslab.networks.pretrained import Pretrained, Started


def settings(**keys: Any) -> Pretrained:
    return Pretrained(source="source.pth", sha256="0" * 64, **keys)


def unet(seed: int, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return networks.build("unet", classes=2, width=4, levels=2, **options)


def written(folder: Path, content: Any) -> Path:
    """What the stage `weights` leaves of a file of torch.save."""
    torch.save(content, folder / "source.pth")
    pretrained.write_weights(folder / "weights.safetensors", folder / "source.pth", "source.pth")
    return folder / "weights.safetensors"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {f"model.{name}": tensor for name, tensor in state.items()},
    ],
)
def test_a_whole_network_is_taken_over_whatever_wraps_it(tmp_path: Path, wrap: Any) -> None:
    source, network = unet(0), unet(1)
    start = pretrained.start(network, written(tmp_path, wrap(source.state_dict())), settings())
    assert start == Started("", len(source.state_dict()), [], [])
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name
    assert str(start) == f"{len(source.state_dict())} tensors of the network from the file"


def test_the_part_that_fits_is_found_and_what_does_not_fit_is_said(tmp_path: Path) -> None:
    source, network = unet(0), unet(1)
    state = {name.removeprefix("encoder."): t for name, t in source.state_dict().items() if name.startswith("encoder.")}
    gone, other = "0.0.weight", "1.0.weight"
    del state[gone]
    state |= {other: torch.zeros(3), "classifier.weight": torch.zeros(5, 5)}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    start = pretrained.start(network, written(tmp_path, state), settings())
    assert start == Started("encoder", len(state) - 2, [gone, other], ["1.0.weight", "classifier.weight"])
    for name, tensor in network.state_dict().items():
        inner = name.removeprefix("encoder.")
        taken = name.startswith("encoder.") and inner not in (gone, other)
        assert torch.equal(tensor, state[inner] if taken else before[name]), name
    assert str(start).endswith(
        " tensors of encoder from the file; 2 stay random (0.0.weight, 1.0.weight); "
        "2 of the file are not used (1.0.weight, classifier.weight)"
    )


def test_a_part_can_be_named(tmp_path: Path) -> None:
    source, network = unet(0), unet(1)
    file = written(tmp_path, source.encoder.state_dict())
    assert pretrained.start(network, file, settings(part="encoder")).part == "encoder"
    with pytest.raises(InputError, match=r"pretrained\.part: the network has no 'backbone'"):
        pretrained.start(network, file, settings(part="backbone"))


def test_tensors_of_other_names_are_matched_in_order(tmp_path: Path) -> None:
    source, network = unet(0), unet(1)
    names = [f"z{99 - index}" for index in range(len(source.encoder.state_dict()))]  # safetensors would sort them
    state = dict(zip(names, source.encoder.state_dict().values(), strict=True)) | {"head": torch.zeros(2)}
    file = written(tmp_path, state)
    with pytest.raises(InputError, match=r"source\.pth: none of its tensors fits; it has .*; the network has "):
        pretrained.start(network, file, settings())
    start = pretrained.start(network, file, settings(match="order"))
    assert start == Started("encoder", len(names), [], ["head"])
    for name, tensor in source.encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[name], tensor), name


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, networks.build("munet", classes=2).state_dict())
    for match in ("names", "order"):
        with pytest.raises(InputError, match="none of its tensors fits"):
            pretrained.start(unet(0), file, settings(match=match))


class Evil:
    def __reduce__(self) -> Any:
        return print, ("ran",)


@pytest.mark.parametrize(
    "content",
    [
        b"words",
        b"",
        pickle.dumps(Evil()),
        pickle.dumps({"weight": Evil()}),
    ],
)
def test_a_file_that_is_no_weights_is_refused_and_not_run(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"^source\.pth: neither safetensors nor weights alone"):
        pretrained.write_weights(tmp_path / "out", tmp_path / "source.pth", "source.pth")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {}}, {"model": 3}])
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "source.pth")
    with pytest.raises(InputError, match=r"^source\.pth: holds no tensors by name"):
        pretrained.write_weights(tmp_path / "out", tmp_path / "source.pth", "source.pth")


def test_damaged_weights_are_a_line(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"\0" * 20)
    for file in ("weights.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=r"not a file of weights .*; run `dvc repro --force weights`"):
            pretrained.start(unet(0), tmp_path / file, settings())


class TestNormalisation:
    """Images are normalised as the weights want them."""

    @staticmethod
    def tensors() -> dict[str, Tensor]:
        return {"w": torch.zeros(2)}

    def test_imagenet_s_unless_something_else_is_known(self, tmp_path: Path) -> None:
        mean, std = pretrained.normalisation(written(tmp_path, self.tensors()), settings())
        assert mean == pytest.approx((123.675, 116.28, 103.53))
        assert std == pytest.approx((58.395, 57.12, 57.375))

    def test_a_losslab_model_says_its_own(self, tmp_path: Path) -> None:
        said = {"losslab": json.dumps({"mean": [1, 2, 3], "std": [4, 5, 6]})}
        save_file(self.tensors(), tmp_path / "model.safetensors", said)
        pretrained.write_weights(tmp_path / "out.safetensors", tmp_path / "model.safetensors", "model")
        assert pretrained.normalisation(tmp_path / "out.safetensors", settings()) == ((1, 2, 3), (4, 5, 6))
        with safe_open(tmp_path / "out.safetensors", "pt") as file:
            assert json.loads(file.metadata()["order"]) == ["w"]

    def test_the_settings_have_the_last_word(self, tmp_path: Path) -> None:
        file = written(tmp_path, self.tensors())
        mean, std = pretrained.normalisation(file, settings(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]))
        assert (mean, std) == ((127.5,) * 3, (63.75,) * 3)


class TestTheSettings:
    """The key `pretrained` of any kind of network."""

    def test_it_stands_in_the_spec_and_is_no_option(self) -> None:
        given = {"source": "w.pth", "sha256": "0" * 64}
        complete = networks.registry.complete({"kind": "munet", "pretrained": given})
        assert complete["pretrained"] == given | {
            "member": None, "part": None, "match": "names", "mean": None, "std": None,
        }  # fmt: skip
        assert networks.registry.complete(complete) == complete
        assert isinstance(networks.registry.build(complete, in_channels=3, classes=2), nn.Module)
        assert "pretrained" not in networks.registry.complete({"kind": "munet", "pretrained": None})

    @pytest.mark.parametrize(
        "given",
        [{"member": None}, {"source": "w.pth"}, {"source": "w", "sha256": "abc"}, {"source": 3, "sha256": "0" * 64},
         {"source": "w", "sha256": "0" * 64, "std": [0.0]}, {"source": "w", "sha256": "0" * 64, "to": "x"}, "w.pth"],
    )  # fmt: skip
    def test_what_is_wrong_is_an_error(self, given: Any) -> None:
        with pytest.raises(ValidationError):
            networks.registry.complete({"kind": "munet", "pretrained": given})
