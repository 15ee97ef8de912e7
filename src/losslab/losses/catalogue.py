"""Every kind of loss: options and docstring, for `losslab losses` and docs/losses.md."""

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from losslab.losses import KINDS, registry

COST = "## Cost of a step"
SECTIONS = ("Shapes", "Convention", "Helps", "Reference")


@dataclass(frozen=True)
class Option:
    """One option: its name, what it may be, and its default as params.yaml would have it."""

    name: str
    values: str
    default: str


@dataclass(frozen=True)
class Entry:
    """One kind: its docstring in parts, and its options."""

    kind: str
    title: str
    formula: str
    sections: dict[str, str]
    options: tuple[Option, ...]


def entries() -> Iterator[Entry]:
    """All kinds by name. Imports every loss."""
    for kind in sorted(KINDS):
        loss = registry.resolve(kind)
        title, *paragraphs = inspect.cleandoc(loss.__doc__ or "").split("\n\n")
        named = {name: text for text in paragraphs if (name := text.partition(":")[0]) in SECTIONS}
        formula = "\n\n".join(text for text in paragraphs if text not in named.values())
        sections = {name: " ".join(named[name].split()[1:]) for name in SECTIONS if name in named}
        yield Entry(kind, title, formula, sections, tuple(_options(loss)))


def describe() -> str:
    """All kinds as text: title, options with values and defaults, reference."""
    parts = []
    for entry in entries():
        lines = [f"{entry.kind}: {entry.title}"]
        lines += [f"    {o.name}: {o.default}  ({o.values})" for o in entry.options]
        if "Reference" in entry.sections:
            text = f"    reference: {entry.sections['Reference']}"
            lines.append(textwrap.fill(text, 100, subsequent_indent=" " * 8))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def page(cost: str) -> str:
    """docs/losses.md, with what was measured of the cost of a step; `cost_of` reads that back."""
    every = list(entries())
    parts = [
        _HEAD,
        "| kind | |\n|---|---|\n" + "\n".join(f"| [`{e.kind}`](#{e.kind}) | {e.title} |" for e in every),
        f"{COST}\n\n{cost}",
    ]
    for entry in every:
        parts += [f"## {entry.kind}", entry.title, f"```text\n{entry.formula}\n```"]
        if entry.options:
            rows = (f"| `{o.name}` | {o.values} | `{o.default}` |" for o in entry.options)
            parts.append("| option | values | default |\n|---|---|---|\n" + "\n".join(rows))
        parts += [f"**{name}.** {text}" for name, text in entry.sections.items()]
    return "\n\n".join(parts) + "\n"


def cost_of(page: str) -> str:
    """What a page says of the cost of a step."""
    return page.partition(f"{COST}\n\n")[2].partition("\n\n## ")[0]


_HEAD = """# Losses

Written by `python docs/losses.py` from the docstrings in `src/losslab/losses/`.

Each kind is used by one entry of params.yaml: `kind` and, where the defaults will not do, its options.
`logits` are the network's raw outputs `[N, C, H, W]`, `target` planes of 0 and 1 of the same shape. p is the
predicted probability, t the target; tp = Σp·t, fp = Σp·(1 − t), fn = Σ(1 − p)·t are soft counts.

![Value and gradient of each loss on the way from nothing through the truth to everything](losses.png)

Each pair of panels walks from a prediction of background only, through the truth, to foreground everywhere,
for one object of 2, 10 and 30 % of a 64×64 image. Upper panels: the loss. Lower panels: Σ|∂L/∂logit| over the
pixels, the size of what the network is told, on a logarithmic scale. Pixelwise means such as `mse` and `bce`
hardly see a 2 % object, neither in value nor in gradient, while `dice` is as large for every size: so in MSE
+ λ·Dice the same λ is another loss for another size of object. The published losses have [a figure of their
own](losses_published.png), with ∂L/∂output, since they take raw outputs.

**Activation.** Where the options have an `activation`, p is the sigmoid of each plane's logit by itself, or the
softmax over background and planes: `softmax([0, logits])`, for classes that exclude each other. Where planes
overlap all the same, a softmax takes the later one for the truth. Of a data set whose classes exclude each
other by its format the softmax is over the C planes alone, and it is what `null` means. A `sum` has one
activation, since a model has one; predictions are made with it.

**Void pixels.** In a uint8 target 255 says that the truth is unknown. No loss sees such a pixel: value and
gradient are those of the image without it, and its own gradient is 0. With a softmax a pixel is void in all
planes if it is in one. A target of floats holds no void, and is not searched for it."""


def _options(loss: type[Any]) -> Iterator[Option]:
    hints = get_type_hints(loss, include_extras=True)
    for field in fields(loss):
        if field.name in registry.given:
            continue
        default = "required" if field.default is MISSING else _value(field.default)
        yield Option(field.name, _values(hints[field.name]), default)


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _values(hint: Any) -> str:
    """What an annotated type admits, in words."""
    if hint is type(None):
        return "null"
    if get_origin(hint) is Literal:
        return ", ".join(map(_value, get_args(hint)))
    info = [field for field in getattr(hint, "__metadata__", ()) if hasattr(field, "metadata")]
    if not info:
        return ", ".join(map(_values, get_args(hint))) or str(getattr(hint, "__name__", hint))
    if info[0].description:
        return str(info[0].description)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = (
        f"{sign} {getattr(b, name):g}" for b in info[0].metadata for name, sign in signs.items() if hasattr(b, name)
    )
    return f"number {' and '.join(limits)}"
