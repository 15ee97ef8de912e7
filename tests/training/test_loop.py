"""The training loop: deterministic, resumable to the byte, and stopped where it diverges."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from augmentations import EVERY
from projects import ROOT
from torch import nn

from losslab import losses, networks
from losslab.data.tensors import Split
from losslab.inference.forward import Normalisation
from losslab.results import history
from losslab.settings.params import SGD, Train
from losslab.training.averaging import MovingAverage
from losslab.training.loop import Data, Progress, train
from losslab.training.seeds import prepared

SETTINGS = Train.model_validate(
    yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"]
    | {"epochs": 3, "batch_size": 4, "threads": 1}
)


class Killed(Exception):
    pass


@pytest.fixture
def data() -> Data:
    """Bright squares on dark noise, and the squares as masks."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 80, (20, 3, 16, 16), np.uint8)
    masks = np.zeros((20, 1, 16, 16), np.uint8)
    for index in range(20):
        row, column = rng.integers(0, 10, 2)
        masks[index, 0, row : row + 6, column : column + 6] = 1
    images[np.broadcast_to(masks.astype(bool), images.shape)] += 120
    pictures, planes = torch.from_numpy(images), torch.from_numpy(masks)
    return Data(
        pictures[:14], planes[:14], pictures[14:], planes[14:], Normalisation.of(pictures[:14]), pictures.device
    )


def run(data: Data, settings: Train = SETTINGS, loss: str = "dice", seed: int = 0, **options: Any) -> Progress:
    progress = options.pop("progress", None) or Progress()
    network = options.pop("network", partial(networks.build, "unet", classes=1, width=4, levels=2))
    on_epoch = options.pop("on_epoch", lambda _: None)
    train(network, losses.build(loss), data, settings, seed, torch.float32, progress, on_epoch, "test")
    return progress


def same(a: Progress, b: Progress) -> bool:
    return a.rows == b.rows and a.threshold == b.threshold and all(torch.equal(a.kept[k], b.kept[k]) for k in a.kept)


def test_it_learns(data: Data) -> None:
    progress = run(data, SETTINGS.model_copy(update={"epochs": 40}))
    miou = [row.value for row in progress.rows if row.metric == "miou_tuned"]
    assert max(miou) > 0.9
    assert progress.kept_miou == max(miou)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data: Data) -> None:
    assert same(run(data), run(data))
    assert not same(run(data), run(data, seed=1))


class Interrupted(NamedTuple):
    """A run that is killed after an epoch, and goes on from what it left on disk."""

    folder: Path
    epoch: int

    def __call__(self, progress: Progress) -> None:
        if progress.epoch == self.epoch:
            torch.save(vars(progress) | {"rows": [tuple(row) for row in progress.rows]}, self.folder / "state.pt")
            raise Killed

    def restored(self) -> Progress:
        saved = torch.load(self.folder / "state.pt", weights_only=True)
        return Progress(**saved | {"rows": [history.Row(*row) for row in saved["rows"]]})


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_a_killed_run_goes_on_to_the_same_bits(data: Data, tmp_path: Path, epochs: int, schedule: str) -> None:
    settings = SETTINGS.model_copy(update={"schedule": schedule})
    kill = Interrupted(tmp_path, epochs)
    with pytest.raises(Killed):
        run(data, settings, on_epoch=kill)
    assert same(run(data, settings, progress=kill.restored()), run(data, settings))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_killed_run_with_every_augmentation_goes_on_to_the_same_bits(data: Data, tmp_path: Path, epochs: int) -> None:
    settings = SETTINGS.model_copy(update={"augment": EVERY})
    kill = Interrupted(tmp_path, epochs)
    with pytest.raises(Killed):
        run(data, settings, on_epoch=kill)
    whole = run(data, settings)
    assert same(run(data, settings, progress=kill.restored()), whole)
    assert not same(run(data), whole)


def test_a_network_that_draws_goes_on_to_the_same_bits(data: Data, tmp_path: Path) -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Dropout2d(), nn.Conv2d(8, 1, 1))

    kill = Interrupted(tmp_path, 1)
    with pytest.raises(Killed):
        run(data, network=network, on_epoch=kill)
    assert same(run(data, network=network, progress=kill.restored()), run(data, network=network))


def test_every_loss_sees_the_same_images_in_the_same_order(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    for name in ("dice", "mse"):
        kind = type(losses.build(name))
        original = kind.__call__

        def spy(self: Any, logits: Any, target: Any, *rest: Any, name: str = name, original: Any = original) -> Any:
            seen.setdefault(name, []).append(target.clone())
            return original(self, logits, target, *rest)

        monkeypatch.setattr(kind, "__call__", spy)
        run(data, loss=name)
    assert all(torch.equal(a, b) for a, b in zip(seen["dice"], seen["mse"], strict=True))


def test_a_run_that_is_not_finite_stops_at_its_step(data: Data) -> None:
    settings = SETTINGS.model_copy(update={"optimizer": SGD(kind="sgd", lr=1e30), "schedule": "constant", "epochs": 5})
    progress = run(data, settings, loss="bce")
    assert progress.diverged
    assert progress.epoch == 1
    assert progress.kept == {}
    step = history.diverged_step(progress.rows, 0)
    assert step is not None
    assert 2 <= step <= 3, "three steps an epoch; the first loss is finite"
    assert all(np.isfinite(row.value) for row in progress.rows)


def test_keep_last_keeps_the_last(data: Data) -> None:
    progress = run(data, SETTINGS.model_copy(update={"keep": "last"}))
    last = progress.state["network"]
    assert all(torch.equal(progress.kept[name], last[name]) for name in last)


def test_keep_lowest_loss_keeps_the_weights_of_that_epoch(data: Data) -> None:
    settings = SETTINGS.model_copy(
        update={"keep": "lowest_loss", "optimizer": SGD(kind="sgd", lr=30.0), "schedule": "constant"}
    )
    states: list[dict[str, torch.Tensor]] = []

    def remember(progress: Progress) -> None:
        states.append({name: tensor.clone() for name, tensor in progress.state["network"].items()})

    progress = run(data, settings.model_copy(update={"epochs": 6}), loss="bce", on_epoch=remember)
    losses_by_epoch = [row.value for row in progress.rows if (row.split, row.metric) == ("val", "loss")]
    lowest = int(np.argmin(losses_by_epoch))
    assert lowest < 5, "the last epoch would be kept by `last` too"
    assert progress.kept_loss == min(losses_by_epoch)
    assert all(torch.equal(progress.kept[name], states[lowest][name]) for name in progress.kept)


def split_of(data: Data, part: slice) -> Split:
    images, masks = data.images[part].numpy(), data.masks[part].numpy()
    return Split(images, masks, "squares", ("square",), tuple(map(str, range(len(images)))), "test")


def test_overfit_trains_and_validates_on_the_same_few_images(data: Data) -> None:
    train_split, val_split = split_of(data, slice(0, 10)), split_of(data, slice(10, 14))
    both = prepared(train_split, val_split, SETTINGS, torch.device("cpu"))
    assert (len(both.images), len(both.val_images)) == (10, 4)
    settings = SETTINGS.model_copy(update={"overfit": 2, "epochs": 60})
    few = prepared(train_split, val_split, settings, torch.device("cpu"))
    assert torch.equal(few.images, data.images[:2])
    assert few.val_images is few.images
    assert few.val_masks is few.masks
    assert run(few, settings).kept_miou > 0.9


def test_raw_input_reaches_the_network_on_its_own_scale(data: Data) -> None:
    split, cpu = split_of(data, slice(0, 4)), torch.device("cpu")
    raw = prepared(split, split, SETTINGS.model_copy(update={"input": "raw"}), cpu)
    assert torch.equal(raw.normalise(raw.images), data.images[:4].float())
    normalised = prepared(split, split, SETTINGS, cpu)
    images = normalised.normalise(normalised.images).double()
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-5, rtol=0)


def test_a_set_smaller_than_a_batch_trains(data: Data) -> None:
    small = replace(data, images=data.images[:3], masks=data.masks[:3])
    assert run(small).epoch == 3


def test_history_is_tidy(data: Data, tmp_path: Path) -> None:
    progress = run(data)
    history.write(tmp_path / "h.csv", progress.rows)
    assert (tmp_path / "h.csv").read_text(encoding="utf-8").splitlines()[0] == "seed,epoch,step,split,metric,value"
    again = history.read(tmp_path / "h.csv")
    assert [row[:5] for row in again] == [row[:5] for row in progress.rows]
    assert [row.value for row in again] == pytest.approx([row.value for row in progress.rows], rel=1e-8)


class TestMovingAverage:
    EMA = SETTINGS.model_copy(update={"average": "ema"})

    def test_it_is_the_average_by_its_formula(self) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
        average = MovingAverage(network)
        expected = {name: value.clone() for name, value in network.state_dict().items()}
        for step in range(1, 5):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter += torch.randn_like(parameter)
            network(torch.randn(2, 2, 4, 4))
            average.update(step)
            decay = step / (step + 9)
            for name, value in network.state_dict().items():
                mean = decay * expected[name] + (1 - decay) * value
                expected[name] = mean if value.is_floating_point() else value.clone()
        found = average.network.state_dict()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value)

    def test_it_does_not_change_the_training_and_is_what_is_kept(self, data: Data) -> None:
        averaged, plain = (run(data, settings.model_copy(update={"keep": "last"})) for settings in (self.EMA, SETTINGS))
        assert [row for row in averaged.rows if row.split == "train"] == [
            row for row in plain.rows if row.split == "train"
        ]
        for name, value in plain.kept.items():
            assert torch.equal(averaged.state["network"][name], value)
            assert torch.equal(averaged.state["average"][name], averaged.kept[name])
        assert not same(averaged, plain)

    @pytest.mark.parametrize("epochs", [1, 2])
    def test_a_killed_run_goes_on_to_the_same_bits(self, data: Data, tmp_path: Path, epochs: int) -> None:
        kill = Interrupted(tmp_path, epochs)
        with pytest.raises(Killed):
            run(data, self.EMA, on_epoch=kill)
        assert same(run(data, self.EMA, progress=kill.restored()), run(data, self.EMA))
