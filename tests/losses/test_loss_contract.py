"""The contract of a loss, for every registered kind: a new one is tested by being registered."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
import torch
from annotated_types import Ge, Gt, Le, Lt
from loss_cases import CAUTIOUS, NEEDED, ORDERED, SIGNED, UNEQUAL, batch, kind_loss, perfect, value_and_gradient
from pydantic import ValidationError

from losslab.losses import KINDS, registry

WITH_REDUCE = [kind for kind in KINDS if "reduce" in {field.name for field in fields(registry.resolve(kind))}]
WITH_MAPS = [kind for kind in KINDS if kind_loss(kind).target_maps(batch()[1]) is not None]
WITH_OPTIONS = [kind for kind in KINDS if {f.name for f in fields(registry.resolve(kind))} - set(registry.given)]


def kinds(but: Collection[str] = ()) -> pytest.MarkDecorator:
    """Every registered kind but those whose docstrings say that they differ."""
    return pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in but])


@kinds()
def test_the_value_is_a_finite_float32_scalar(kind: str) -> None:
    value = kind_loss(kind)(*batch())
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.isfinite()


@kinds(but=SIGNED)
def test_it_is_never_negative(kind: str) -> None:
    for seed in range(5):
        assert kind_loss(kind)(*batch(seed=seed)) >= 0


@kinds(but=SIGNED | CAUTIOUS)
def test_it_is_zero_at_a_perfect_prediction_and_more_at_its_opposite(kind: str) -> None:
    loss, (_, target) = kind_loss(kind), batch()
    assert float(loss(perfect(loss, target), target)) == pytest.approx(0, abs=1e-5)
    if kind not in ORDERED:
        assert loss(perfect(loss, 1 - target), target) > 0.1


@kinds()
def test_value_and_gradient_are_finite_at_logits_of_100(kind: str) -> None:
    noise, target = batch()
    for logits in (noise.sign() * 100, perfect(kind_loss("mse"), target), -perfect(kind_loss("mse"), target)):
        value, gradient = value_and_gradient(kind_loss(kind), logits, target)
        assert value.isfinite()
        assert gradient.isfinite().all()


@kinds()
def test_its_gradient_is_that_of_its_value(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    _, target = batch(2, 3, 4)
    # Outputs this small and positive keep every term of the losses of raw outputs switched on.
    logits = (0.1 + 0.3 * torch.rand(target.shape, generator=generator, dtype=torch.float64)).requires_grad_()
    loss = kind_loss(kind)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), (logits,))
    assert torch.autograd.grad(loss(logits, target), logits)[0].abs().sum() > 0


@kinds(but=SIGNED | ORDERED | CAUTIOUS)
def test_it_falls_on_the_way_from_a_prediction_to_the_truth(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    goal = perfect(loss, target, 12)
    values = torch.stack([loss(logits.lerp(goal, s), target) for s in torch.linspace(0, 1, 12)])
    assert (values.diff() <= 1e-6).all()
    assert values[-1] < values[0] / 2


@kinds()
def test_flips_change_nothing(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    for dim in (2, 3):
        torch.testing.assert_close(loss(logits.flip(dim), target.flip(dim)), loss(logits, target))


@kinds(but=ORDERED)
def test_the_order_of_images_changes_nothing(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    torch.testing.assert_close(loss(logits.flip(0), target.flip(0)), loss(logits, target))


@kinds(but=UNEQUAL)
def test_the_order_of_classes_changes_nothing(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    torch.testing.assert_close(loss(logits.flip(1), target.flip(1)), loss(logits, target))


@pytest.mark.parametrize("kind", WITH_REDUCE)
def test_reduced_by_sample_it_is_the_mean_of_single_images(kind: str) -> None:
    logits, target = batch()
    loss = kind_loss(kind, reduce="sample").fitted(target)
    singles = [loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))]
    torch.testing.assert_close(loss(logits, target), torch.stack(singles).mean())


@pytest.mark.parametrize("kind", WITH_REDUCE)
def test_reduced_by_batch_it_takes_all_images_for_one(kind: str) -> None:
    logits, target = batch()
    stitched = (planes.transpose(0, 1).flatten(1, 2).unsqueeze(0) for planes in (logits, target))
    value = kind_loss(kind, reduce="batch")(logits, target)
    torch.testing.assert_close(value, kind_loss(kind, reduce="sample")(*stitched))


@kinds()
@pytest.mark.parametrize("fill", [0, 1])
def test_empty_and_full_masks_give_finite_values_and_zero_when_predicted(kind: str, fill: int) -> None:
    loss, (logits, target) = kind_loss(kind), batch(classes=1)
    target = torch.full_like(target, fill)
    value, gradient = value_and_gradient(loss, logits, target)
    assert value.isfinite()
    assert gradient.isfinite().all()
    if kind not in SIGNED | CAUTIOUS:
        assert float(loss(perfect(loss, target), target)) == pytest.approx(0, abs=1e-5)


@kinds()
def test_bf16_under_autocast_gives_the_float32_value_of_the_rounded_logits(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    rounded = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(rounded, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(rounded.float(), target), rtol=1e-4, atol=1e-5)


@kinds()
def test_the_dtype_of_the_target_does_not_matter(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    expected = loss(logits, target.float())
    for dtype in (torch.bool, torch.int64, torch.float64):
        torch.testing.assert_close(loss(logits, target.to(dtype)), expected, rtol=0, atol=0)
    torch.testing.assert_close(loss(logits, target), expected)  # uint8 may hold void: sums in another order


@kinds()
def test_channels_last_logits_give_the_same_value(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    last = logits.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(loss(last, target), loss(logits, target))


@kinds()
def test_probabilities_are_float32_in_0_to_1_and_threshold_at_one_half(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    probabilities = loss.probabilities((300 * logits).bfloat16())
    assert probabilities.dtype == torch.float32
    assert probabilities.shape == logits.shape
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    assert ((loss.probabilities(perfect(loss, target)) > 0.5) == target.bool()).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@kinds()
def test_cpu_and_cuda_agree(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    value, gradient = value_and_gradient(loss, logits, target)
    on_gpu, gpu_gradient = value_and_gradient(loss, logits.cuda(), target.cuda())
    torch.testing.assert_close(on_gpu.cpu(), value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gpu_gradient.cpu(), gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", WITH_MAPS)
def test_maps_given_and_maps_made_on_the_fly_are_the_same(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    maps = loss.target_maps(target)
    assert maps is not None
    assert maps.shape == target.shape
    torch.testing.assert_close(loss(logits, target, maps), loss(logits, target), rtol=0, atol=0)


@kinds()
def test_wrong_shapes_and_types_raise(kind: str) -> None:
    loss, (logits, target) = kind_loss(kind), batch()
    with pytest.raises(ValueError, match=r"they have \[3, 4, 8, 8\] and \[3, 1, 8, 8\]"):
        loss(logits, target[:, :1])
    with pytest.raises(ValueError, match="N, C, H, W"):
        loss(logits[0], target[0])
    with pytest.raises(TypeError, match="floating point"):
        loss(logits.int(), target)


@pytest.mark.parametrize("kind", WITH_OPTIONS)
def test_options_out_of_range_raise_and_name_the_option(kind: str) -> None:
    for name, hint in get_type_hints(registry.resolve(kind), include_extras=True).items():
        for value in outside(hint):
            with pytest.raises(ValidationError) as error:
                registry.build({"kind": kind, **NEEDED.get(kind, {}), name: value})
            assert error.value.errors()[0]["loc"][0] == name


def outside(hint: Any) -> list[Any]:
    """Values just outside the bounds of an annotated type, and one that is of no type."""
    values: list[Any] = [object()]
    for field in getattr(hint, "__metadata__", ()):
        for bound in getattr(field, "metadata", ()):
            match bound:
                case Gt(limit) | Lt(limit):
                    values.append(limit)
                case Ge(limit):
                    values.append(limit - 0.001)
                case Le(limit):
                    values.append(limit + 0.001)
    return values
