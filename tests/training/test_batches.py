"""A training set that is streamed from its file trains to the same bits as one that lies on the device."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from projects import ROOT
from torch import nn

from losslab import losses, networks
from losslab.data import tensors
from losslab.evaluation.planes import planes
from losslab.settings.augment import Augment
from losslab.settings.params import Train
from losslab.training.batches import Resident, Streamed, fits
from losslab.training.loop import Progress, train
from losslab.training.seeds import loss_for, prepared

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


@pytest.fixture
def labelled(splits: dict[str, tensors.Split]) -> dict[str, tensors.Split]:
    """The same with labels: of `a`, `b` or neither, and a column of which nothing is known."""
    of = {}
    for name, split in splits.items():
        labels = np.where(split.truth[:, 0] == 1, 1, np.where(split.truth[:, 1] == 1, 2, 0)).astype(np.uint8)
        labels[:, :, 5] = tensors.VOID
        of[name] = replace(split, truth=labels, classes=("background", "a", "b"))
    return of


@pytest.mark.parametrize("spec", [
    {"kind": "cross_entropy"}, {"kind": "cross_entropy", "class_weights": "balanced"}, {"kind": "dice"},
    {"kind": "boundary"},
])  # fmt: skip
def test_labels_train_as_their_planes_do_streamed_or_not(
    labelled: dict[str, tensors.Split], spec: dict[str, str]
) -> None:
    results = []
    for kind, gigabytes in (("labels", 1e-9), ("labels", 1.0), ("planes", 1.0)):
        settings = SETTINGS.model_copy(update={"device_gb": gigabytes, "keep": "lowest_loss"})
        data = prepared(labelled["train"], labelled["val"], settings, CPU)
        assert (data.masks.ndim, data.classes, data.void) == (3, 3, True)
        if kind == "planes":
            data = replace(data, masks=planes(data.masks, 3), val_masks=planes(data.val_masks, 3))
        progress = Progress()
        network = partial(networks.build, "unet", classes=3, width=4, levels=2)
        loss = loss_for(labelled["train"], spec)
        train(network, loss, data, settings, 0, torch.float32, progress, lambda _: None, "test")
        results.append(progress)
    streamed, resident, dense = results
    assert streamed.rows == resident.rows
    assert [row for row in resident.rows if row.metric == "loss"] == [row for row in dense.rows if row.metric == "loss"]
    for progress in (streamed, dense):
        assert all(torch.equal(progress.kept[name], resident.kept[name]) for name in resident.kept)
    measured = {row.metric for row in resident.rows if row.split == "val"}
    assert measured == {"loss", "miou_argmax"}
    assert resident.threshold == 0.5


def test_what_is_unknown_changes_nothing(labelled: dict[str, tensors.Split]) -> None:
    results = []
    for change in (0, 77):
        images = {name: split.images.copy() for name, split in labelled.items()}
        data = prepared(labelled["train"], labelled["val"], SETTINGS, CPU)
        for picture, mask in zip(images["train"], labelled["train"].truth, strict=True):
            picture[:, mask == tensors.VOID] += np.uint8(change)
        data = replace(data, images=torch.from_numpy(images["train"]))
        progress = Progress()
        network = partial(nn.Conv2d, 3, 3, 1)  # sees a pixel at a time
        loss = loss_for(labelled["train"], {"kind": "cross_entropy"})
        train(network, loss, data, SETTINGS, 0, torch.float32, progress, lambda _: None, "test")
        results.append(progress)
    assert results[0].rows == results[1].rows


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
