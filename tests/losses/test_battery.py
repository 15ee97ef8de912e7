"""`losslab check` catches what a loss from elsewhere may do wrong, and passes those that do not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import own_code
import pytest
import yaml
from projects import ROOT

from losslab import __main__ as command_line
from losslab import losses
from losslab.errors import InputError
from losslab.losses import KINDS, battery
from losslab.losses.battery import Finding

PLANTED = """
import torch
from torch import nn

draws = torch.Generator().manual_seed(0)


def nan_on_empty(logits, target):
    p = logits.sigmoid()
    return 1 - 2 * (p * target).sum((2, 3)).div(target.sum((2, 3))).mean()


def ignores_its_input(logits, target):
    return target.mean() * torch.ones(())


def ignores_logits_but_not_the_graph(logits, target):
    return target.mean() + 0 * logits.sum()


def ignores_target(logits, target):
    return logits.sigmoid().mean()


def reversed_sign(logits, target):
    return -nn.functional.binary_cross_entropy_with_logits(logits, target)


def score_in_place_of_a_loss(logits, target):
    p = logits.sigmoid()
    return (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


def summed(logits, target):
    return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")


def summed_over_pixels(logits, target):
    return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum((1, 2, 3)).mean()


def changes_the_target(logits, target):
    target.mul_(0.9)
    return (logits.sigmoid() - target).square().mean()


def changes_the_prediction(logits, target):
    logits.clamp_(-1, 1)
    return (logits.sigmoid() - target).square().mean()


def unlimited_logarithm(logits, target):
    p = logits.sigmoid()
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def random(logits, target):
    return (logits.sigmoid() - target).square().mean() * (1 + torch.rand((), generator=draws))


def raises(logits, target):
    raise ValueError("no such shape")


def no_scalar(logits, target):
    return (logits.sigmoid() - target).square()


def spatial(logits, target):
    p = logits.sigmoid()
    return (p - target).square().mean() + (p.diff(dim=2) - target.diff(dim=2)).square().mean()
"""
FINITE, DEPENDS, DESCENDS, TRUTH, MEAN, INPUT, REPEATS, VOID = (
    "value and gradient are finite",
    "it depends on the prediction and on the target",
    "a step against its gradient lowers it",
    "a right prediction costs less than a wrong one",
    "it does not grow with the number of images or pixels",
    "it leaves prediction and target as they are",
    "the same input gives the same value and gradient",
    "unknown pixels change nothing",
)
CAUGHT = {
    "nan_on_empty": (FINITE, "nan for empty masks"),
    "ignores_its_input": (DEPENDS, "the gradient is 0 everywhere"),
    "ignores_logits_but_not_the_graph": (DEPENDS, "the gradient is 0 everywhere"),
    "ignores_target": (DEPENDS, "its value is the same for another target"),
    "reversed_sign": (TRUTH, "for the truth, "),
    "score_in_place_of_a_loss": (TRUTH, "for the truth, "),
    "summed": (MEAN, "2 times as much for twice the images"),
    "summed_over_pixels": (MEAN, "4 times as much for four times the pixels"),
    "changes_the_target": (INPUT, "it changes the target in place"),
    "changes_the_prediction": (INPUT, "it changes the prediction in place"),
    "unlimited_logarithm": (FINITE, "for predictions that are sure and "),
    "random": (REPEATS, ", then "),
    "raises": (FINITE, "ValueError: no such shape"),
    "no_scalar": (FINITE, "in place of a scalar"),
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("own")
    allow = ["planted", "my_losses", "monai.losses"]
    with own_code.beside_params(path, allow, own_code.FILES | {"planted.py": PLANTED}):
        yield path


def findings(spec: dict[str, Any]) -> dict[str, Finding]:
    found = battery.examine(losses.registry.build(spec), battery.classes_of(spec))
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize("name", CAUGHT)
def test_what_is_wrong_with_a_loss_is_caught_and_said(name: str) -> None:
    check, words = CAUGHT[name]
    finding = findings({"kind": f"planted:{name}"})[check]
    assert finding.state == "wrong"
    assert words in finding.words


def test_a_loss_that_looks_at_neighbours_sees_unknown_pixels_which_is_noted() -> None:
    found = findings({"kind": "planted:spatial"})
    assert {check for check, finding in found.items() if finding.state == "wrong"} == set()
    assert found[VOID].state == "note"
    assert "within a border of unknown pixels" in found[VOID].words


GOOD: dict[str, dict[str, Any]] = {
    "MONAI's Dice and focal": {"kind": "monai.losses:DiceFocalLoss"},
    "MONAI's softmax Dice": {"kind": "monai.losses:DiceLoss", "options": {"softmax": True}},
    "an own function": {"kind": "my_losses:absolute"},
    "an own kind": {"kind": "my_losses:Squared"},
    "a sum": {"kind": "sum", "terms": [{"loss": {"kind": "bce"}}, {"loss": {"kind": "my_losses:absolute"}}]},
}


@pytest.mark.parametrize("row", GOOD)
def test_a_loss_that_is_right_passes(row: str) -> None:
    found = findings(GOOD[row])
    assert {check: finding.words for check, finding in found.items() if finding.state == "wrong"} == {}
    assert list(found) == [FINITE, DEPENDS, DESCENDS, TRUTH, MEAN, INPUT, REPEATS, VOID, "cost of a step, beside bce"]
    assert float(found["cost of a step, beside bce"].words.split()[0]) > 0


@pytest.mark.parametrize("kind", ["bce", "cross_entropy", "dice", "focal", "lovasz", "tversky", "top_k", "mcc"])
def test_losslab_s_own_pass(kind: str) -> None:
    assert kind in KINDS
    wrong = {check: finding.words for check, finding in findings({"kind": kind}).items() if finding.state == "wrong"}
    assert wrong == {}


def test_the_number_of_classes_is_that_of_a_list_of_weights() -> None:
    spec = {"kind": "torch.nn:CrossEntropyLoss", "options": {"weight": [1, 2, 3, 4, 5]}, "background": True}
    assert battery.classes_of(spec) == 4
    assert battery.classes_of({"kind": "my_losses:absolute", "options": {"scale": 1.0}}) == 3


def test_check_prints_a_line_for_each_and_fails_where_one_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["losses"] |= {"mine": {"kind": "my_losses:absolute"}, "sum": {"kind": "planted:summed"}}
    settings["grid"]["losses"] += ["mine"]
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command_line.check()
    said = capsys.readouterr().out
    assert said.startswith("params.yaml: correct; ")
    assert f"\n  ok    {TRUTH}\n" in said
    assert '\nlosses.mine: {"kind": "my_losses:absolute", "options": {"scale": 1.0}, "takes": "logits"' in said
    assert "losses.dice" not in said
    settings["grid"]["losses"] += ["sum"]
    Path("params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with pytest.raises(InputError, match=r"params\.yaml: losses\.sum: is not to be trained with, see above"):
        command_line.check()
    assert f"\n  wrong {MEAN}: 2 times as much" in capsys.readouterr().out
