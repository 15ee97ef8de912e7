"""From a mapping with a kind to an object: options checked, defaults filled in."""

from dataclasses import fields

import pytest
from loss_cases import NEEDED
from pydantic import ValidationError

from losslab import losses, networks
from losslab.settings.schema import explain


@pytest.mark.parametrize("kind", losses.KINDS)
def test_a_completed_loss_names_every_option_and_is_the_same_loss(kind: str) -> None:
    spec = {"kind": kind, **NEEDED.get(kind, {})}
    complete = losses.registry.complete(spec)
    options = [field.name for field in fields(losses.registry.resolve(kind)) if field.name != "exclusive"]
    assert list(complete) == ["kind", *options]
    assert losses.registry.build(complete) == losses.registry.build(spec)
    assert losses.registry.complete(complete) == complete


def test_a_loss_within_a_loss_is_completed_too() -> None:
    counts = {"smooth": 0.5, "reduce": "batch", "empty": "count", "include_background": False, "class_weights": "none"}
    dice = {"kind": "dice", "activation": None, **counts}
    mse = {"kind": "mse", "activation": None}
    terms = [{"loss": {"kind": "dice", "smooth": 0.5}}, {"loss": {"kind": "mse"}, "weight": 2}]
    assert losses.registry.complete({"kind": "sum", "terms": terms}) == {
        "kind": "sum",
        "terms": [{"loss": dice, "weight": 1.0}, {"loss": mse, "weight": 2.0}],
    }


def test_what_the_program_gives_is_no_option() -> None:
    complete = networks.registry.complete({"kind": "munet"})
    assert complete == {"kind": "munet", "depth": 16, "skip_connections": True}
    with pytest.raises(ValidationError, match="unknown key"):
        networks.registry.complete({"kind": "munet", "classes": 3})


@pytest.mark.parametrize(
    ("axis", "name", "spec", "message"),
    [
        ("losses", "dice", {"kind": "mse", "smooth": 1.0}, "losses.dice.smooth: mse has no such option, as "),
        ("networks", "a", {"kind": "munet", "levels": 3}, "networks.a.levels: munet has no such option, as unet has; "),
    ],
)
def test_an_option_of_a_kind_that_was_replaced_is_named_and_how_it_goes(
    axis: str, name: str, spec: dict[str, object], message: str
) -> None:
    kinds = {"losses": losses.registry, "networks": networks.registry}[axis]
    with pytest.raises(ValidationError) as raised:
        kinds.complete(spec)
    said = explain(raised.value, "params.yaml", axis, name)
    option = next(key for key in spec if key != "kind")
    assert said.startswith(f"params.yaml: {message}")
    assert said.endswith(f"; remove it; in an experiment, -S '~{axis}.{name}.{option}' does")


@pytest.mark.parametrize("spec", [{}, {"kind": None}, {"kind": ["dice"]}, {"kind": "os.system"}])
def test_what_is_no_kind_is_a_validation_error_that_lists_those_there_are(spec: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"no kind .* in losslab\.losses\.KINDS; .*known: bce, "):
        losses.registry.complete(spec)
