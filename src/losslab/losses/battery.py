"""A loss from elsewhere put to the test in seconds, before hours are spent on it: `losslab check`.

The tests in losslab's repository are for its own kinds; a loss that comes by `module:Class` has these.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from losslab.losses import build
from losslab.losses.loss import Loss

SIDE, IMAGES = 32, 4
SURE = 30.0
"""A logit of which the sigmoid is 1 in float32: where a logarithm without a limit is infinite."""
Check = Callable[[Loss, Tensor, Tensor], str]


@dataclass(frozen=True)
class Finding:
    """What one check found: `wrong` is not to be trained with, `note` is to be known."""

    state: Literal["ok", "wrong", "note"]
    check: str
    words: str = ""

    def __str__(self) -> str:
        return f"{self.state:6}{self.check}{': ' if self.words else ''}{self.words}"


def examine(loss: Loss, classes: int = 3) -> Iterator[Finding]:
    """What each check finds of a loss, for planes of so many classes."""
    logits, target = _example(classes)
    for check in (_is_finite, _depends, _descends, _prefers_the_truth, _is_a_mean, _leaves_its_input, _repeats):
        wrong = _words_of(check, loss, logits, target)
        yield Finding("wrong" if wrong else "ok", (check.__doc__ or "").rstrip("."), wrong)
    unlike = _words_of(_is_blind_to_void, loss, logits, target)
    yield Finding("note" if unlike else "ok", (_is_blind_to_void.__doc__ or "").rstrip("."), unlike)
    yield Finding("note", "cost of a step, beside bce", _words_of(_cost, loss, logits, target))


def is_foreign(spec: Any) -> bool:
    """Whether a mapping from params.yaml names code from elsewhere as a loss or as a part of one."""
    if not isinstance(spec, dict):
        return False
    terms = [term.get("loss") for term in spec.get("terms", ()) if isinstance(term, dict)]
    return ":" in str(spec.get("kind")) or any(map(is_foreign, terms))


def classes_of(spec: dict[str, Any]) -> int:
    """For how many classes a loss is made, by the length of a list among its options; 3 if there is none."""
    lists = [value for value in {**spec, **spec.get("options", {})}.values() if isinstance(value, list)]
    lengths = [len(values) for values in lists if values and all(isinstance(v, int | float) for v in values)]
    return max(lengths[0] - bool(spec.get("background")), 1) if lengths else 3


def _words_of(check: Check, loss: Loss, logits: Tensor, target: Tensor) -> str:
    try:
        return check(loss, logits.clone(), target.clone())
    except Exception as error:  # whatever the loss's own code raises
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _example(classes: int) -> tuple[Tensor, Tensor]:
    """Logits `[N, C, H, W]` and planes of rectangles that do not overlap, every class on some image."""
    generator = torch.Generator().manual_seed(0)
    target = torch.zeros(IMAGES, classes, SIDE, SIDE)
    stripe = SIDE // classes or 1
    for image in range(IMAGES):
        for plane in range(classes):
            if (image + plane) % 3 or image == 0:
                target[image, plane, 4 + image : 20 + image, plane * stripe : plane * stripe + max(stripe - 1, 1)] = 1
    return torch.randn(IMAGES, classes, SIDE, SIDE, generator=generator), target


def _tried(loss: Loss, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient."""
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf * 1, target)
    if not value.requires_grad:
        return value.detach(), torch.zeros_like(logits)
    (gradient,) = torch.autograd.grad(value, leaf, allow_unused=True)
    return value.detach(), torch.zeros_like(logits) if gradient is None else gradient


def _is_finite(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """value and gradient are finite."""
    truth = 2 * target - 1
    cases = {
        "random predictions": (logits, target),
        "empty masks": (logits, torch.zeros_like(target)),
        "masks that are full": (logits, torch.ones_like(target[:, :1]).expand_as(target) * _first(target)),
        "predictions that are sure and right": (SURE * truth, target),
        "predictions that are sure and wrong": (-SURE * truth, target),
    }
    wrong = []
    for name, (predicted, wanted) in cases.items():
        value, gradient = _tried(loss, predicted, wanted.clone())
        if not value.isfinite():
            wrong.append(f"{float(value)} for {name}")
        elif not gradient.isfinite().all():
            wrong.append(f"a gradient that is not finite for {name}")
    return ", ".join(wrong)


def _first(target: Tensor) -> Tensor:
    """1 for the first plane, 0 for the others: planes that exclude each other."""
    return (torch.arange(target.shape[1]) == 0).float().view(1, -1, 1, 1)


def _depends(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """it depends on the prediction and on the target."""
    value, gradient = _tried(loss, logits, target)
    if not gradient.any():
        return "the gradient is 0 everywhere"
    other, _ = _tried(loss, logits, target.flip(0, 2, 3))
    return "its value is the same for another target" if other == value else ""


def _descends(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """a step against its gradient lowers it."""
    value, gradient = _tried(loss, logits, target)
    step = gradient / gradient.abs().max().clamp(min=1e-30)
    lowered = [_tried(loss, logits - size * step, target)[0] for size in (0.3, 0.03, 0.003)]
    return "" if min(lowered) < value else f"{float(value):.6g} before, {float(min(lowered)):.6g} after"


def _prefers_the_truth(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """a right prediction costs less than a wrong one."""
    truth = 8 * (2 * target - 1)
    right, random, wrong = (float(_tried(loss, predicted, target)[0]) for predicted in (truth, logits, -truth))
    if right < random and right < wrong:
        return ""
    return f"{right:.6g} for the truth, {random:.6g} at random, {wrong:.6g} for its opposite"


def _is_a_mean(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """it does not grow with the number of images or pixels."""
    value = float(_tried(loss, logits, target)[0])
    twice = float(_tried(loss, logits.repeat(2, 1, 1, 1), target.repeat(2, 1, 1, 1))[0])
    tiled = float(_tried(loss, logits.repeat(1, 1, 2, 2), target.repeat(1, 1, 2, 2))[0])
    advice = "the learning rate would depend on it; if it has one, set the option `reduction: mean`"
    if twice > 1.5 * value:
        return f"{twice / value:.3g} times as much for twice the images: {advice}"
    return f"{tiled / value:.3g} times as much for four times the pixels: {advice}" if tiled > 2 * value else ""


def _leaves_its_input(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """it leaves prediction and target as they are."""
    leaf = logits.clone().requires_grad_()
    predicted, wanted = leaf * 1, target.clone()
    loss(predicted, wanted)
    changed = [
        name
        for name, now, before in (("prediction", predicted, logits), ("target", wanted, target))
        if not torch.equal(now.detach(), before)
    ]
    return f"it changes the {' and the '.join(changed)} in place" if changed else ""


def _repeats(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """the same input gives the same value and gradient."""
    (first, gradient), (second, again) = (_tried(loss, logits, target) for _ in range(2))
    if first == second and torch.equal(gradient, again):
        return ""
    return f"{float(first)!r}, then {float(second)!r}" if first != second else "another gradient"


def _is_blind_to_void(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """unknown pixels change nothing."""
    known = target.to(torch.uint8)
    value, gradient = _tried(loss, logits, known)
    border = (3, 3, 3, 3)
    bordered, outer = _tried(loss, pad(logits, border, value=5.0), pad(known, border, value=255))
    inner = outer[:, :, 3:-3, 3:-3]
    if torch.allclose(value, bordered, rtol=1e-4) and torch.allclose(gradient, inner, rtol=1e-3, atol=1e-7):
        return "" if outer.abs().sum() <= inner.abs().sum() * 1.0001 else "unknown pixels have a gradient"
    return f"{float(value):.6g}, and {float(bordered):.6g} within a border of unknown pixels; mind data that has some"


def _cost(loss: Loss, logits: Tensor, target: Tensor) -> str:
    """how long value and gradient take."""
    logits, target = logits.repeat(2, 1, 2, 2), target.repeat(2, 1, 2, 2)  # eight images of 64×64

    def seconds(of: Loss) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            _tried(of, logits, target)
            times.append(time.process_time() - start)
        return min(times)

    return f"{seconds(loss) / max(seconds(build('bce')), 1e-6):.1f} times the loss's own part of it"
