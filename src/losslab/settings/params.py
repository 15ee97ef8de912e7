"""The schema of params.yaml: every setting of the pipeline, checked before any work.

The options of each kind of data set, network and loss live beside its code, so whoever wants them checked hands the
registries in.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from losslab.errors import InputError, did_you_mean
from losslab.settings.augment import Augment
from losslab.settings.plain_yaml import read_yaml
from losslab.settings.registry import Registry
from losslab.settings.schema import Count, Fraction, NonNegative, Positive, Section, Seed, explain, invalid, refuse_bomb

T = TypeVar("T")


PARAMS = Path("params.yaml")
MAX_LENGTH = 1 << 20
"""Characters that it may have."""
KINDS = ("datasets", "networks", "losses")
"""The axes of the grid: mappings from a name to a kind and its options."""


def _no_duplicates(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{repeated[0]!r} is listed twice")
    return values


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_no_duplicates)]
CellPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+/[A-Za-z0-9_]+/[A-Za-z0-9_]+$")]
Spec = dict[str, Any]
ExtraMetric = Literal["cl_dice", "components", "betti", "calibration"]


class Grid(Section):
    """What is compared: every loss with every network on every data set, by their names below."""

    datasets: Names
    networks: Names
    losses: Names
    seeds: dict[CellPath, Count] = Field(default_factory=dict)
    """`<data set>/<network>/<loss>` → how many seeds it has in all, where there are more than `train.seeds`: those and
    the next integers. `losslab decide` writes it."""


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
    if not isinstance(kind, str) or kind not in kinds:
        raise invalid("kind", f"no kind {kind!r}; {did_you_mean(str(kind), kinds)}", kind)
    return kinds[kind].model_validate(value)


class Train(Section):
    """How every network is trained; the same for every loss, so that only the loss differs."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_no_duplicates)]
    epochs: Count
    batch_size: Count
    optimizer: Annotated[AdamW | SGD, BeforeValidator(_by_kind)]
    schedule: Literal["one_cycle", "constant"]
    average: Literal["none", "ema"] = "none"
    """The weights that are validated and kept: those of the last step, or their exponential moving average."""
    augment: Augment = Augment()
    freeze: Annotated[int, Field(ge=0)] = 0
    """Epochs in which the encoder of a network with pretrained weights stays as it started, its statistics too."""
    encoder_lr_factor: Positive = 1.0
    """Times the learning rate is that of such an encoder."""
    input: Literal["normalised", "raw"] = "normalised"
    """Images of zero mean and unit deviation per channel, or their values 0–255."""
    resample: bool = False
    """Every seed draws its training images anew, as many as before, from all that the source has."""
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
    device_gb: Positive | None = None
    """Gigabytes of images and masks that may lie on the device; a larger training set is streamed from its file. None:
    half of the memory that is free. The bits are the same."""
    cuda_graphs: bool = False
    """On a GPU, in one process: replay the training step as one CUDA graph, so that starting kernels costs little."""
    deterministic: bool


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"{ends[0]:g} to {ends[1]:g} is no range; the lower end comes first")
    return ends


Interval = Annotated[tuple[float, float], AfterValidator(_ascending)]
Span = Annotated[tuple[Positive, Positive], AfterValidator(_ascending)]


class Tune(Section):
    """What is tried for every loss alike before it is trained; nothing where there are no trials.

    The settings with the best validation mIoU are trained afresh with `train.seeds`.
    """

    trials: Annotated[int, Field(ge=0, le=10_000)] = 0
    seeds: Count = 1
    """Trainings of each trial, whose mean counts; none has a seed of `train.seeds`."""
    lr: Span | None = None
    """Lowest and highest learning rate. None: a tenth and ten times that of `train.optimizer`."""
    weight_decay: Span | None = None
    """Lowest and highest weight decay, tried together with the rates."""
    options: dict[Name, dict[str, Interval]] = Field(default_factory=dict)
    """Loss → option → its lowest and highest value, tried together with the rates."""
    momentum: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = ()
    """Momenta of `sgd` that are tried after all that, at the best settings."""

    def rates(self, rate: float) -> tuple[float, float]:
        """Lowest and highest learning rate, given that of `train.optimizer`."""
        return self.lr or (rate / 10, rate * 10)

    @property
    def trainings(self) -> int:
        """How many trainings that is for a loss, at most."""
        return (self.trials + len(self.momentum)) * self.seeds if self.trials else 0


class Evaluate(Section):
    """How test images are scored."""

    batch_size: Count
    boundary_tolerance: Annotated[NonNegative, Field(le=16384)] = 2.0
    metrics: Annotated[tuple[ExtraMetric, ...], AfterValidator(_no_duplicates)] = ()
    """What else is measured, in more time: middle lines, components, their number with that of holes, calibration."""


class Compare(Section):
    """How the scores become a verdict."""

    baseline: Name
    confidence: Fraction
    resamples: Count
    seed: Seed
    margin: NonNegative = 0.01
    """mIoU: a loss is good enough if picking it is expected to cost no more than this against the best."""
    most_seeds: Annotated[Count, Field(ge=3, le=200)] = 16
    """Seeds up to which the verdict may be looked at, as often as one likes; more of them in the plan raise it."""


class Report(Section):
    """What the figures show."""

    images: Count = 6
    """Test images in each figure that shows some."""


class Params(Section):
    """The whole of params.yaml."""

    grid: Grid
    datasets: dict[Name, Spec]
    networks: dict[Name, Spec]
    losses: dict[Name, Spec]
    tune: Tune = Tune()
    train: Train
    evaluate: Evaluate
    compare: Compare
    report: Report

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Params":
        for kind in KINDS:
            defined = getattr(self, kind)
            folded: dict[str, str] = {}
            for name in defined:
                if (other := folded.setdefault(name.casefold(), name)) != name:
                    # They become file names, which some systems do not tell apart.
                    raise invalid(kind, f"'{other}' and '{name}' differ in case only; rename one", name)
            for name in getattr(self.grid, kind):
                if name not in defined:
                    raise invalid(
                        f"grid.{kind}",
                        f"'{name}' is not defined under {kind}; {did_you_mean(name, defined)}",
                        name,
                    )
        for path, number in self.grid.seeds.items():
            for kind, name in zip(KINDS, path.split("/"), strict=True):
                if name not in getattr(self, kind):
                    raise invalid("grid.seeds", f"{path}: '{name}' is not defined under {kind}; remove it", path)
            if number < (least := len(self.train.seeds)):
                raise invalid(
                    "grid.seeds", f"{path}: {number} is less than the {least} of train.seeds; remove it", number
                )
        for name in self.tune.options:
            if name not in self.losses:
                hint = did_you_mean(name, self.losses)
                raise invalid("tune.options", f"'{name}' is not defined under losses; {hint}", name)
        if self.tune.momentum and isinstance(self.train.optimizer, AdamW):
            raise invalid("tune.momentum", "train.optimizer is adamw, which has none; remove it", None)
        if self.compare.baseline not in self.grid.losses:
            hint = did_you_mean(self.compare.baseline, self.grid.losses)
            raise invalid("compare.baseline", f"'{self.compare.baseline}' is not in grid.losses; {hint}", None)
        return self


def load(registries: Mapping[str, Registry[Any]] | None = None, path: Path = PARAMS) -> Params:
    """Read and check params.yaml.

    Args:
        registries: for some of `KINDS` who knows their options; these are then checked, and their defaults filled in.
        path: the file.

    Raises:
        InputError: the file is missing, is not YAML, or breaks the schema; a line for each thing wrong.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_LENGTH + 1)
        if len(text) > MAX_LENGTH:
            raise ValueError(f"it has more than {MAX_LENGTH} characters")
        raw = read_yaml(text)
        refuse_bomb(raw)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run this where dvc.yaml and params.yaml are") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())[:500]}") from None
    params = _explained(lambda: Params.model_validate(raw))
    complete = {
        axis: {
            name: _explained(partial(registry.complete, spec), axis, name)
            for name, spec in getattr(params, axis).items()
        }
        for axis, registry in (registries or {}).items()
    }
    if registry := (registries or {}).get("losses"):
        for name, options in params.tune.options.items():
            for end in (0, 1):
                spec = params.losses[name] | {option: ends[end] for option, ends in options.items()}
                _explained(partial(registry.complete, spec), "tune", "options", name)
    return params.model_copy(update=complete)


def _explained(check: Callable[[], T], *path: str) -> T:
    try:
        return check()
    except ValidationError as error:
        raise InputError(explain(error, str(PARAMS), *path)) from None
