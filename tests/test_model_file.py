"""A model file carries what is needed to use it, and a bad one is named."""

from pathlib import Path

import pytest
import torch

from losslab import model_file, models
from losslab.errors import InputError

CPU = torch.device("cpu")
ABOUT = {
    "model": {"kind": "unet", "width": 4, "levels": 2},
    "loss": {"kind": "cross_entropy"},
    "classes": ["cat", "dog"],
    "mean": [1.0, 2.0, 3.0],
    "std": [4.0, 5.0, 6.0],
    "threshold": 0.25,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = models.build("unet", classes=2, width=4, levels=2)
    model_file.save(tmp_path / "seed0.safetensors", network.state_dict(), ABOUT)
    return tmp_path / "seed0.safetensors"


def test_what_is_saved_is_loaded(path: Path) -> None:
    model = model_file.load(path, CPU)
    torch.manual_seed(0)
    network = models.build("unet", classes=2, width=4, levels=2).eval()
    image = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(model.network(image), network(image))
    assert model.classes == ("cat", "dog")
    assert model.threshold == 0.25
    assert model.loss.probabilities(torch.zeros(1, 2, 1, 1)).flatten().tolist() == pytest.approx([1 / 3, 1 / 3])


def test_the_same_model_is_the_same_bytes(path: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.build("unet", classes=2, width=4, levels=2)
    model_file.save(tmp_path / "again", network.state_dict(), ABOUT)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("keep", [0, 20, 500, -1])
def test_a_damaged_model_is_named(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a losslab model, or damaged"):
        model_file.load(path, CPU)


@pytest.mark.parametrize(
    "change", [{"model": {"kind": "unet", "width": 8}}, {"loss": {"kind": "os.system"}}, {"mean": 3}]
)
def test_a_model_whose_metadata_does_not_fit_is_named(path: Path, change: dict[str, object]) -> None:
    network = models.build("unet", classes=2, width=4, levels=2)
    model_file.save(path, network.state_dict(), ABOUT | change)
    with pytest.raises(InputError, match="not a losslab model, or damaged"):
        model_file.load(path, CPU)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        model_file.load(tmp_path / "none", CPU)
