"""Staged tuning: the rate first, then momentum at the best rate."""

import csv
from pathlib import Path

import numpy as np
import pytest
from projects import Project, new_project

from losslab.__main__ import main
from losslab.data.tensors import Writer
from losslab.errors import InputError
from losslab.results import tuning_table
from losslab.settings.params import SGD
from losslab.training import tuning
from pipeline import plan

START = SGD(kind="sgd", lr=1.0)


def bowl(optimizer: tuning.Optimizer) -> list[float]:
    """Lowest at lr 0.1 and momentum 0.9; diverges at lr 10."""
    assert isinstance(optimizer, SGD)
    if optimizer.lr == 10:
        return []
    lowest = abs(np.log10(optimizer.lr) + 1) + abs(optimizer.momentum - 0.9)
    return [float(lowest) + 1, float(lowest), float(lowest) + 2]


def test_momentum_is_tried_at_the_best_rate_alone() -> None:
    best, curves = tuning.tune(bowl, START, [10, 0.01, 0.1, 1], [0.5, 0.9, 0.99])
    assert best == SGD(kind="sgd", lr=0.1, momentum=0.9)
    assert [(each.lr, each.momentum) for each in curves] == [
        (10, 0), (0.01, 0), (0.1, 0), (1, 0), (0.1, 0.5), (0.1, 0.9), (0.1, 0.99),
    ]  # fmt: skip


def test_nothing_is_tried_twice_and_the_start_may_be_best() -> None:
    best, curves = tuning.tune(bowl, START.model_copy(update={"momentum": 0.9}), [0.1], [0.9, 0.5])
    assert best.momentum == 0.9
    assert len(curves) == 2


def test_rates_that_all_diverge_are_an_error() -> None:
    with pytest.raises(InputError, match="every rate diverged"):
        tuning.tune(bowl, START, [10], [0.5])


@pytest.fixture
def ready(tmp_path: Path) -> Project:
    """A project with bright squares to find and SGD to tune."""
    project = new_project(tmp_path)
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 8)):
        path = tmp_path / "data" / "tensors" / "shapes" / f"{split}.safetensors"
        with Writer(path, dataset="squares", classes=("square",), source="test") as writer:
            for index in range(count):
                image, mask = rng.integers(0, 80, (3, 16, 16), np.uint8), np.zeros((1, 16, 16), np.uint8)
                row, column = rng.integers(0, 10, 2)
                mask[0, row : row + 6, column : column + 6] = 1
                image += 120 * mask
                writer.append(str(index), image, mask)
    optimizer = {"kind": "sgd", "lr": 0.1, "momentum": 0.0}
    project.set(lambda p: p["train"].update(optimizer=optimizer, schedule="constant", keep="lowest_loss"))
    return project


def run(monkeypatch: pytest.MonkeyPatch, project: Project, *arguments: str) -> None:
    monkeypatch.chdir(project.root)
    plan.main()
    monkeypatch.setattr("sys.argv", ["losslab", "tune", "shapes", "unet", *arguments])
    main()


def test_the_command_leaves_curves_and_names_the_best(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, ready, "bce", "--lr", "0.001", "0.3", "1e30", "--momentum", "0.9")
    said = capsys.readouterr().out
    assert "lr 1e+30, momentum 0: diverged" in said
    folder = ready.root / "results/tuning/shapes/unet"
    with (folder / "bce.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["lr"], row["momentum"]) for row in rows} == {("0.001", "0.0"), ("0.3", "0.0"), ("0.3", "0.9")}
    assert [row["epoch"] for row in rows] == ["1", "2"] * 3
    best = min(rows, key=lambda row: float(row["val_loss"]))
    assert f"best: lr {best['lr']}, momentum {float(best['momentum']):g};" in said
    assert (folder / "bce.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_is_not_there_is_answered_with_those_that_are(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"'bice' is not in the grid; did you mean 'bce'\? known: bce, dice"):
        run(monkeypatch, ready, "bice")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lr", "0"], "--lr: 0 is not > 0"),
        (["--lr", "nan"], "--lr: nan"),
        (["--momentum", "-1"], "--momentum: -1 is"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_any_work(
    ready: Project, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(monkeypatch, ready, "bce", *options)


def test_adamw_has_its_rate_tuned_alone(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.set(lambda p: p["train"].update(optimizer={"kind": "adamw", "lr": 0.004}))
    run(monkeypatch, ready, "bce", "--lr", "0.001", "0.01")
    curves = tuning_table.read(ready.root / "results/tuning/shapes/unet/bce.csv")
    assert list(curves) == [tuning_table.Setting("adamw", lr, None, 16, 0) for lr in (0.001, 0.01)]
    assert all(len(values) == 2 for values in curves.values())
    assert "momentum" not in capsys.readouterr().out
    with pytest.raises(InputError, match="--momentum: adamw, the optimiser in params"):
        run(monkeypatch, ready, "bce", "--momentum", "0.9")


def test_a_loss_outside_the_grid_is_not_tuned(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"results/plan/train/shapes/unet/mae\.json: 'mae' is not in the grid"):
        run(monkeypatch, ready, "mae", "--lr", "0.1", "--momentum", "0.9")
    assert [path.name for path in (ready.root / "results/tuning").iterdir()] == ["README.md"]
