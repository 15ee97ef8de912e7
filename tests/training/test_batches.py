"""A training set that is streamed from its file trains to the same bits as one that lies on the device."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from projects import ROOT

from losslab import losses, networks
from losslab.data import tensors
from losslab.settings.augment import Augment
from losslab.settings.params import Train
from losslab.training.batches import Resident, Streamed, fits
from losslab.training.loop import Progress, train
from losslab.training.seeds import prepared

SETTINGS = Train.model_validate(
    yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"] | {"epochs": 2, "batch_size": 4}
)
CPU = torch.device("cpu")


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, tensors.Split]:
    """Memory-mapped splits of noise with bright squares as masks."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 17), ("val", 6)):
        with tensors.Writer(tmp_path / f"{name}.safetensors", dataset="squares", classes=("a", "b"), source="") as out:
            for index in range(count):
                image = rng.integers(0, 120, (3, 16, 16), np.uint8)
                masks = np.zeros((2, 16, 16), np.uint8)
                row, column = rng.integers(0, 10, 2)
                masks[index % 2, row : row + 5, column : column + 6] = 1
                image[:, masks.any(axis=0)] += 100
                out.append(str(index), image, masks)
    return {name: tensors.read(tmp_path / f"{name}.safetensors") for name in ("train", "val")}


@pytest.mark.parametrize(
    ("kind", "augment"),
    [
        ("cross_entropy", Augment(flips=True)),
        ("boundary", Augment(flips=True, brightness=0.2)),
        ("boundary", Augment(flips=True, crop=0.6)),
        ("dice", Augment(rotation=20, elastic=0.02, noise=0.05, blur=1)),
    ],
)
def test_streamed_and_resident_sets_train_to_the_same_bits(
    splits: dict[str, tensors.Split], kind: str, augment: Augment
) -> None:
    results = []
    for gigabytes in (1e-9, 1.0):
        settings = SETTINGS.model_copy(update={"device_gb": gigabytes, "augment": augment})
        data = prepared(splits["train"], splits["val"], settings, CPU)
        assert data.streamed == (gigabytes < 1)
        progress = Progress()
        network = partial(networks.build, "unet", classes=2, width=4, levels=2)
        train(network, losses.build(kind), data, settings, 0, torch.float32, progress, lambda _: None, "test")
        results.append(progress)
    streamed, resident = results
    assert streamed.rows == resident.rows
    assert all(torch.equal(streamed.kept[name], resident.kept[name]) for name in resident.kept)


def test_batches_come_in_order_each_with_its_share_of_images_and_all_masks(splits: dict[str, tensors.Split]) -> None:
    images, masks = (torch.from_numpy(array) for array in (splits["train"].images, splits["train"].masks))
    order, share = torch.randperm(16).view(4, 4), slice(2, 4)
    for train_set in (Resident(images, masks, masks), Streamed(images, masks, CPU)):
        batches = list(train_set.epoch(order, share))
        assert len(batches) == 4
        for batch, indices in zip(batches, order, strict=True):
            assert torch.equal(batch.images, images[indices[2:4]])
            assert torch.equal(batch.masks, masks[indices])


def test_an_error_while_reading_ahead_reaches_the_training(splits: dict[str, tensors.Split]) -> None:
    images, masks = (torch.from_numpy(array) for array in (splits["train"].images, splits["train"].masks))
    with pytest.raises(IndexError, match=r"out of (range|bounds)"):
        list(Streamed(images, masks, CPU).epoch(torch.tensor([[0, 1], [2, 99]]), slice(0, 2)))


def test_what_fits_is_half_of_what_is_free_or_as_much_as_is_allowed() -> None:
    megabyte = torch.zeros(1_000_000, dtype=torch.uint8)
    assert fits([megabyte], CPU, None)
    assert fits([megabyte, megabyte], CPU, 0.002)
    assert not fits([megabyte, megabyte], CPU, 0.0019)
