"""A loss may be trained otherwise than the rest, and that is said."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT

from losslab import __main__ as command_line
from losslab import losses
from losslab.errors import InputError
from losslab.settings import overrides, params
from losslab.settings.params import Params


def settings(tmp_path: Path, own: dict[str, Any], **train: Any) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for loss, its in own.items():
        raw["losses"][loss]["train"] = its
    raw["train"] |= {"epochs": 6} | train
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return params.load({"losses": losses.registry}, tmp_path / "params.yaml")


def test_what_a_loss_sets_for_itself_goes_before_what_all_have(tmp_path: Path) -> None:
    checked = settings(tmp_path, {"dice": {"lr": 0.5, "epochs": 2}})
    own, rest = overrides.train_of(checked, "dice"), overrides.train_of(checked, "bce")
    assert (own.optimizer.lr, own.epochs) == (0.5, 2)
    assert own.optimizer.weight_decay == checked.train.optimizer.weight_decay
    assert rest == checked.train
    assert losses.registry.build(checked.losses["dice"]) == losses.build("dice", reduce="batch")


def test_a_momentum_needs_an_optimiser_that_has_one(tmp_path: Path) -> None:
    checked = settings(tmp_path, {"dice": {"momentum": 0.5}})
    with pytest.raises(InputError, match=r"^params\.yaml: losses\.dice\.train\.momentum: train\.optimizer has none"):
        overrides.train_of(checked, "dice")
    sgd = settings(tmp_path, {"dice": {"momentum": 0.5}}, optimizer={"kind": "sgd", "lr": 0.1})
    assert overrides.train_of(sgd, "dice").optimizer.momentum == 0.5


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"rate": 0.1}, r"^params\.yaml: losses\.dice\.train\.rate: unknown key; "),
        ({"lr": 0}, "0 is not > 0"),
        ({"epochs": True}, "true is not a number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, own: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings(tmp_path, {"dice": own})


def test_it_is_said_which_losses_are_trained_otherwise(tmp_path: Path) -> None:
    assert overrides.of_recipes(settings(tmp_path, {})) == ""
    checked = settings(tmp_path, {"dice": {"lr": 0.5}, "bce": {"epochs": 9}, "mae": {"lr": 0.1}})
    assert overrides.shown(checked) == {"bce": "epochs 9", "dice": "lr 0.5"}
    assert overrides.of_recipes(checked) == (
        "Trained otherwise than the rest (lr 0.004, epochs 6): bce with epochs 9; dice with lr 0.5. "
        "With these it is recipes that are compared."
    )


def test_check_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings(tmp_path, {"dice": {"lr": 0.5}})
    monkeypatch.chdir(tmp_path)
    command_line.check()
    assert "Trained otherwise than the rest (lr 0.004): dice with lr 0.5." in capsys.readouterr().out
