"""One activation per model: the softmax forms of the losses, classes that exclude each other, and mixtures refused."""

from dataclasses import fields
from typing import Any

import pytest
import torch
from loss_cases import CAUTIOUS, NEEDED, SIGNED, batch, exclusive_batch, kind_loss, perfect, value_and_gradient
from pydantic import ValidationError
from torch.nn.functional import cross_entropy, pad

from losslab import losses
from losslab.losses import KINDS, build, registry
from losslab.losses.shared.softmax import surprisals
from losslab.settings.schema import explain

ACTIVATED = [kind for kind in KINDS if "activation" in {field.name for field in fields(registry.resolve(kind))}]
TEXTBOOK = [kind for kind in KINDS if not kind.startswith("report_")]
SOFTMAX = [(kind, {"activation": "softmax"}) for kind in ACTIVATED] + [(kind, {"exclusive": True}) for kind in TEXTBOOK]

softmax = pytest.mark.parametrize(("kind", "options"), SOFTMAX, ids=lambda x: x if isinstance(x, str) else "-".join(x))


def data(options: dict[str, Any], **size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return exclusive_batch(**size) if "exclusive" in options else batch(**size)


@softmax
def test_it_is_zero_at_a_perfect_prediction_and_falls_on_the_way_to_it(kind: str, options: dict[str, Any]) -> None:
    loss, (logits, target) = kind_loss(kind, **options), data(options)
    goal = perfect(loss, target, 4 if kind in CAUTIOUS else 12)
    values = torch.stack([loss(logits.lerp(goal, s), target.float()) for s in torch.linspace(0, 1, 8)])
    assert kind in CAUTIOUS or float(loss(perfect(loss, target), target.float())) == pytest.approx(0, abs=1e-5)
    assert (values.diff() <= 1e-6).all()
    assert values[-1] < values[0] / 2


@softmax
def test_its_gradient_is_that_of_its_value_and_finite_at_logits_of_100(kind: str, options: dict[str, Any]) -> None:
    loss, (logits, target) = kind_loss(kind, **options), data(options, images=2, classes=3, size=4)
    target = target.double()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), (logits.double().requires_grad_(),))
    for extreme in (logits.sign() * 100, perfect(loss, target), -perfect(loss, target)):
        value, gradient = value_and_gradient(loss, extreme.float(), target.float())
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_exclusive_classes_sum_to_one_and_the_largest_is_the_class(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind, exclusive=True), exclusive_batch()
    probabilities = loss.probabilities(logits)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3, 8, 8))
    assert torch.equal(loss.probabilities(perfect(loss, target)).argmax(1), target.argmax(1))
    # Far apart from 0, where a sigmoid is 1 for both, the larger logit still wins.
    if not kind.startswith("report_"):
        assert loss.probabilities(torch.tensor([30.0, 31.0, 0, 0]).view(1, 4, 1, 1)).argmax() == 1


def test_probabilities_of_a_softmax_leave_the_background_out() -> None:
    logits, _ = batch()
    expected = pad(logits, (0, 0, 0, 0, 1, 0)).softmax(1)[:, 1:]
    for kind in ("cross_entropy", "dice", "focal"):
        loss = kind_loss(kind, **({} if kind == "cross_entropy" else {"activation": "softmax"}))
        torch.testing.assert_close(loss.probabilities(logits), expected)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("cross_entropy", {}),
        ("lovasz", {"activation": "softmax"}),
        ("top_k", {"activation": "softmax"}),
        ("focal", {"activation": "softmax", "alpha": None}),
        *((k, {"activation": "softmax", "include_background": True}) for k in ("dice", "iou", "tversky")),
        *((k, {"activation": "softmax", "include_background": True}) for k in ("squared_dice", "generalized_dice")),
    ],
)
def test_background_as_a_class_of_its_own_is_the_softmax_with_background(kind: str, options: dict[str, Any]) -> None:
    logits, target = batch()
    planes = torch.cat([(target.sum(1, keepdim=True) == 0).to(torch.uint8), target], dim=1)
    given = {name: value for name, value in options.items() if name not in ("activation", "include_background")}
    exclusive = kind_loss(kind, exclusive=True, **given)
    value = kind_loss(kind, **options)(logits, target.float())
    torch.testing.assert_close(exclusive(pad(logits, (0, 0, 0, 0, 1, 0)), planes.float()), value)


def test_exclusive_cross_entropy_is_pytorchs_with_weights_of_c_classes() -> None:
    logits, target = exclusive_batch()
    for weight in (None, [1.0, 2.0, 3.0, 0.5]):
        loss = build("cross_entropy", exclusive=True, **({} if weight is None else {"class_weights": weight}))
        expected = cross_entropy(logits, target.argmax(1), None if weight is None else torch.tensor(weight))
        torch.testing.assert_close(loss(logits, target), expected)
        torch.testing.assert_close(loss(logits, target.float()), expected)


@pytest.mark.parametrize(("kind", "options"), [("focal", {"gamma": 0, "alpha": None}), ("top_k", {"fraction": 1})])
def test_with_nothing_of_its_own_it_is_the_cross_entropy(kind: str, options: dict[str, Any]) -> None:
    logits, target = batch()
    expected = build("cross_entropy")(logits, target)
    torch.testing.assert_close(kind_loss(kind, activation="softmax", **options)(logits, target.float()), expected)


def test_where_planes_overlap_a_softmax_takes_the_later_class() -> None:
    logits, target = batch()
    both = target.clone()
    both[:, 0] |= target[:, 2]
    target[:, 0] &= 1 - target[:, 2]
    for kind in ACTIVATED:
        weights = {"pos_weight": "none"} if kind == "exponential_log" else {}  # balanced ones count planes as they are
        loss = kind_loss(kind, activation="softmax", **weights)
        if loss.target_maps(target) is None:  # distances are those of each plane as it is
            assert loss(logits, both.float()) == loss(logits, target.float()), kind


@pytest.mark.parametrize("exclusive", [False, True])
def test_surprisals_are_minus_the_logarithms_also_where_a_probability_is_nearly_one(exclusive: bool) -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0], [40.0, 1.0, -3.0], [-60.0, -60.0, -60.0]]).view(3, 3, 1, 1)
    of_class, of_rest = surprisals(logits, exclusive)
    exact = logits.double() if exclusive else pad(logits.double(), (0, 0, 0, 0, 1, 0))
    total = exact.logsumexp(1, keepdim=True)
    planes = range(exact.shape[1])
    rest = torch.stack([exact[:, [j for j in planes if j != k]].logsumexp(1) for k in planes], dim=1)
    first = 0 if exclusive else 1
    torch.testing.assert_close(of_class.double(), (total - exact)[:, first:], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(of_rest.double(), (total - rest)[:, first:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("terms", "mixed"),
    [
        (["cross_entropy", "dice"], "cross_entropy (softmax) and dice (sigmoid)"),
        (["mse", "dice", "cross_entropy"], "mse (sigmoid) and cross_entropy (softmax)"),
        (["report_a_mse", "dice"], "report_a_mse (raw) and dice (sigmoid)"),
    ],
)
def test_a_sum_of_two_activations_is_refused_in_a_line(terms: list[str], mixed: str) -> None:
    spec = {"kind": "sum", "terms": [{"loss": {"kind": kind}} for kind in terms]}
    with pytest.raises(ValidationError) as error:
        losses.registry.complete(spec)
    said = explain(error.value, "params.yaml", "losses", "ce_dice")
    expected = f"params.yaml: losses.ce_dice.terms: a model has one activation, these have several: {mixed}"
    assert said.split(";")[0] == expected
    assert ("activation: softmax" in said) == ("cross_entropy" in terms)


def test_a_softmax_sum_predicts_with_the_softmax_of_its_terms() -> None:
    logits, target = batch()
    dice = {"kind": "dice", "activation": "softmax"}
    both = build("sum", terms=[{"loss": {"kind": "cross_entropy"}}, {"loss": dice, "weight": 0.5}])
    expected = build("cross_entropy")(logits, target) + 0.5 * build(**dice)(logits, target)
    torch.testing.assert_close(both(logits, target), expected)
    torch.testing.assert_close(both.probabilities(logits), build("cross_entropy").probabilities(logits))


def test_exclusive_reaches_the_terms_of_a_sum_and_is_no_option() -> None:
    logits, target = exclusive_batch()
    terms = [{"loss": {"kind": "dice"}}, {"loss": {"kind": "sum", "terms": [{"loss": {"kind": "bce"}}]}}]
    whole = build("sum", exclusive=True, terms=terms)
    alone = sum(build(kind, exclusive=True)(logits, target) for kind in ("dice", "bce"))
    torch.testing.assert_close(whole(logits, target), alone)
    assert whole.fitted(target) == whole
    spec = registry.complete({"kind": "sum", "terms": terms})
    assert "exclusive" not in str(spec)
    assert registry.complete(spec) == spec
    with pytest.raises(ValidationError, match="unknown key"):
        registry.check({"kind": "dice", "exclusive": True})


def test_a_background_is_only_a_softmaxs() -> None:
    with pytest.raises(ValidationError) as error:
        build("dice", include_background=True)
    assert "include_background: only a softmax has a background" in explain(error.value, "params.yaml")


def test_a_loss_of_two_activations_by_name_says_so_where_classes_exclude_each_other() -> None:
    terms = [{"loss": {"kind": "dice", "activation": "sigmoid"}}, {"loss": {"kind": "mse"}}]
    assert build("sum", terms=terms).output == "sigmoid"
    with pytest.raises(ValueError, match=r"dice \(sigmoid\) and mse \(softmax\)"):
        build("sum", exclusive=True, terms=terms)


def test_every_kind_that_needs_no_sigmoid_has_the_option() -> None:
    assert set(TEXTBOOK) - set(ACTIVATED) == {"cross_entropy", "sum"}
    assert set(NEEDED) <= {"sum"}
    assert set(KINDS) >= SIGNED
