"""A model file carries what is needed to use it, and a bad one is named."""

import functools
import json
import resource
from pathlib import Path
from typing import Any

import own_code
import pytest
import torch

from losslab import losses, networks
from losslab.errors import InputError
from losslab.inference import model_file

CPU = torch.device("cpu")
METADATA = {
    "network": {"kind": "unet", "width": 4, "levels": 2},
    "loss": {"kind": "cross_entropy"},
    "classes": ["cat", "dog"],
    "mean": [1.0, 2.0, 3.0],
    "std": [4.0, 5.0, 6.0],
    "threshold": 0.25,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = networks.build("unet", classes=2, width=4, levels=2)
    model_file.save(tmp_path / "seed0.safetensors", network.state_dict(), METADATA)
    return tmp_path / "seed0.safetensors"


def test_what_is_saved_is_loaded(path: Path) -> None:
    model = model_file.load(path, CPU)
    torch.manual_seed(0)
    network = networks.build("unet", classes=2, width=4, levels=2).eval()
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(model.network(image), network(image))
    assert model.classes == ("cat", "dog")
    assert model.threshold == 0.25
    assert model.loss.probabilities(torch.zeros(1, 2, 1, 1)).flatten().tolist() == pytest.approx([1 / 3, 1 / 3])


def test_a_model_of_one_s_own_code_is_used_where_that_code_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "seed0.safetensors"
    with own_code.beside_params(tmp_path, ["my_nets", "my_losses"]):
        spec = networks.registry.complete({"kind": "my_nets:Plain"})
        network = networks.registry.build(spec, in_channels=3, classes=2).eval()
        loss = losses.registry.complete({"kind": "my_losses:FocalPlus"})
        model_file.save(path, network.state_dict(), METADATA | {"network": spec, "loss": loss})
        image = torch.randn(1, 3, 16, 16)
        torch.testing.assert_close(model_file.load(path, CPU).network(image), network(image))
        own_code.write(tmp_path, ["my_losses"], {})
        with pytest.raises(InputError, match=rf"^{path}: 'my_nets:Plain' is not allowed to run; if it is to, add"):
            model_file.load(path, CPU)


def test_the_same_model_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = networks.build("unet", classes=2, width=4, levels=2)
    model_file.save(tmp_path / "again", network.state_dict(), METADATA)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("keep", [0, 20, 500, -1])
def test_a_damaged_model_is_named(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a losslab model, or damaged"):
        model_file.load(path, CPU)


@pytest.mark.parametrize(
    "change", [{"network": {"kind": "unet", "width": 8}}, {"loss": {"kind": "os.system"}}, {"mean": 3}]
)
def test_a_model_whose_metadata_does_not_fit_is_named(path: Path, change: dict[str, object]) -> None:
    network = networks.build("unet", classes=2, width=4, levels=2)
    model_file.save(path, network.state_dict(), METADATA | change)
    with pytest.raises(InputError, match="not a losslab model, or damaged"):
        model_file.load(path, CPU)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        model_file.load(tmp_path / "none", CPU)


def test_weights_that_training_started_from_are_not_looked_for(path: Path) -> None:
    started_from = {"weights": "/etc/passwd", "weights_sha256": "0"}
    network = networks.build("unet", classes=2, width=4, levels=2)
    model_file.save(
        path, network.state_dict(), METADATA | {"network": {"kind": "unet", "width": 4, "levels": 2} | started_from}
    )
    assert model_file.load(path, CPU).classes == ("cat", "dog")


DEEP: dict[str, Any] = functools.reduce(lambda loss, _: {"kind": "sum", "terms": [{"loss": loss}]}, range(90), {})
HOSTILE: dict[str, dict[str, Any]] = {
    "a network of terabytes": {"network": {"kind": "unet", "width": 10**6}},
    "a network beyond any number": {"network": {"kind": "unet", "width": 10**12}},
    "a network without end": {"network": {"kind": "unet", "levels": 10**9}},
    "a million planes": {"classes": ["a"] * 10**6},
    "a million channels": {"mean": [1.0] * 10**6},
    "another program": {"network": {"kind": "os:system"}},
    "a list for a name": {"network": {"kind": ["unet"]}},
    "no mapping": {"network": None},
    "losses within losses": {"loss": DEEP},
    "numbers for names": {"classes": [1, 2]},
    "text for numbers": {"mean": "abc"},
    "no numbers": {"mean": [float("nan")] * 3},
    "no deviation": {"std": [0, 0, 0]},
    "a threshold out of range": {"threshold": 7},
    "an image of terabytes": {"image_size": [10**9, 10**9]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_metadata_is_one_line_and_little_memory(what: str, path: Path) -> None:
    model_file.save(path, networks.build("unet", classes=2, width=4, levels=2).state_dict(), METADATA | HOSTILE[what])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = "is not allowed to run" if what == "another program" else "not a losslab model, or damaged"
    with pytest.raises(InputError, match=refused) as caught:
        model_file.load(path, CPU)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def with_header(header: object) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def with_tensor(shape: list[int], end: int) -> bytes:
    return with_header({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}})


@pytest.mark.parametrize(
    "content",
    [
        (2**62).to_bytes(8, "little") + b"{}",
        (10**5).to_bytes(8, "little") + b"[" * 10**5,
        with_header([1]),
        *(with_header({"__metadata__": {"losslab": text}}) for text in ("[" * 10**5, "3", "{}", "9" * 10**4)),
        with_tensor([2**40], 2**42),
        with_tensor([-1], -4),
        with_tensor([2**33, 2**33], 0),
    ],
    ids=range(10),
)
def test_a_hostile_header_is_one_line(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a losslab model, or damaged"):
        model_file.load(path, CPU)
