"""The schema of params.yaml: every setting of the pipeline, checked before any work.

`load` checks everything that needs no torch (0.3 s); `check` also the options of every loss and of the network,
which live beside their code.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from losslab import data
from losslab.errors import InputError, did_you_mean
from losslab.schema import Section, explain, invalid, refuse_bomb

T = TypeVar("T")

PARAMS = Path("params.yaml")


def _no_duplicates(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice")
    return values


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_no_duplicates)]
Spec = dict[str, Any]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Grid(Section):
    """What is compared: every loss on every data set, by their names below."""

    datasets: Names
    losses: Names


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: Literal["adamw"]
    lr: Positive
    weight_decay: NonNegative = 0.01


class SGD(Section):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    lr: Positive
    momentum: NonNegative = 0.0
    weight_decay: NonNegative = 0.0


def _by_kind(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kinds: dict[Any, type[AdamW | SGD]] = {"adamw": AdamW, "sgd": SGD}
    kind = value.get("kind")
    if kind not in kinds:
        raise invalid("kind", f"no kind {kind!r}; {did_you_mean(str(kind), kinds)}", kind)
    return kinds[kind].model_validate(value)


class Train(Section):
    """How every network is trained; the same for every loss, so that only the loss differs."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_no_duplicates)]
    epochs: Count
    batch_size: Count
    optimizer: Annotated[AdamW | SGD, BeforeValidator(_by_kind)]
    schedule: Literal["one_cycle", "constant"]
    flips: bool
    input: Literal["normalised", "raw"] = "normalised"
    """Images of zero mean and unit deviation per channel, or their values 0–255."""
    overfit: Count | None = None
    """Train on the first n training images and validate on the same: can the network learn them at all?"""
    keep: Literal["best", "last", "lowest_loss"]
    """The weights with the best validation mIoU at the tuned threshold, those of the last epoch, or those with the
    lowest validation loss."""
    precision: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[Count, Field(le=1024)]
    """Of each process."""
    processes: Annotated[Count, Field(le=1024)] = 1
    """Processes that share each batch, one a GPU where there are several; the batch is the same, its bits are not."""
    cuda_graphs: bool = False
    """On a GPU, in one process: replay the training step as one CUDA graph, so that starting kernels costs little."""
    deterministic: bool


class Evaluate(Section):
    """How test images are scored."""

    batch_size: Count
    boundary_tolerance: NonNegative = 2.0


class Compare(Section):
    """How the scores become a verdict."""

    baseline: Name
    confidence: Fraction
    resamples: Count
    seed: Seed


class Report(Section):
    """What the figures show."""

    images: Count


class Params(Section):
    """The whole of params.yaml."""

    grid: Grid
    datasets: dict[Name, Spec]
    losses: dict[Name, Spec]
    model: Spec
    train: Train
    evaluate: Evaluate
    compare: Compare
    report: Report

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Params":
        for kind in ("datasets", "losses"):
            for name in getattr(self.grid, kind):
                defined = getattr(self, kind)
                if name not in defined:
                    raise invalid(
                        f"grid.{kind}",
                        f"'{name}' is not defined under {kind}; {did_you_mean(name, defined)}",
                        name,
                    )
        if self.compare.baseline not in self.grid.losses:
            hint = did_you_mean(self.compare.baseline, self.grid.losses)
            raise invalid("compare.baseline", f"'{self.compare.baseline}' is not in grid.losses; {hint}", None)
        return self

    def dataset(self, name: str) -> "data.Dataset":
        """The data set called `name`, ready to download and extract."""
        return _explained(lambda: data.registry.build(self.datasets[name]), "datasets", name)


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml: everything but the options of losses and networks.

    Raises:
        InputError: the file is missing, is not YAML, or breaks the schema; a line for each thing wrong.
    """
    try:
        raw = yaml.safe_load(path.read_text())
        refuse_bomb(raw)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run this where dvc.yaml and params.yaml are") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())[:500]}") from None
    params = _explained(lambda: Params.model_validate(raw))
    for name in params.datasets:
        params.dataset(name)
    return params


def check(path: Path = PARAMS) -> Params:
    """`load`, and the options of every loss and of the network. Imports torch, which takes seconds."""
    from losslab import losses, models

    params = load(path)
    for name, spec in params.losses.items():
        _explained(partial(losses.registry.check, spec), "losses", name)
    _explained(partial(models.registry.check, params.model), "model")
    return params


def _explained(check: Callable[[], T], *path: str) -> T:
    try:
        return check()
    except ValidationError as error:
        raise InputError(explain(error, str(PARAMS), *path)) from None
