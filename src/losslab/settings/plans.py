"""What the stage `plan` decides for each instance of the other stages: `results/plan/<stage>/<names>.json`.

A stage reads its settings from its plan and from nowhere else. They stand there checked, with every default filled in,
beside the fingerprint of the code that the instance can reach: the same plan, the same work.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, ValidationError

from losslab.errors import InputError, did_you_mean
from losslab.settings.params import Compare, Evaluate, Grid, Params, Spec, Train, Tune
from losslab.settings.schema import Count, Section

FOLDER = Path("results/plan")


@dataclass(frozen=True, order=True)
class Cell:
    """One cell of the grid: names under `datasets`, `networks` and `losses` in params.yaml."""

    dataset: str
    network: str
    loss: str

    @property
    def path(self) -> Path:
        """`<dataset>/<network>/<loss>`, below the folder of a stage."""
        return Path(self.dataset, self.network, self.loss)

    @property
    def names(self) -> tuple[str, str, str]:
        """The three names in the order of `dvc.yaml`."""
        return self.dataset, self.network, self.loss

    def __str__(self) -> str:
        return " ".join(self.names)


def cells(grid: Grid) -> list[Cell]:
    """Every cell of the grid, in its order."""
    return [Cell(*names) for names in ((d, n, o) for d in grid.datasets for n in grid.networks for o in grid.losses)]


def seeds_of(cell: Cell, seeds: Sequence[int], grid: Grid) -> tuple[int, ...]:
    """The seeds of one cell: `train.seeds`, and the next integers where `grid.seeds` asks for more."""
    number, following = grid.seeds.get(cell.path.as_posix(), 0), max(seeds) + 1
    return (*seeds, *range(following, following + number - len(seeds)))


class Plan(Section):
    """The plan of one stage instance."""

    stage: ClassVar[str]
    code: str
    """Fingerprint of the code that the instance can reach, and of these libraries."""
    libraries: dict[str, str] = Field(default_factory=dict)
    """Installed libraries that its numbers depend on → version, with a digest of the files for code from elsewhere."""

    @classmethod
    def read(cls, *names: str) -> Self:
        """The plan of the instance called by `names`, as `dvc.yaml` hands them to the stage.

        Raises:
            InputError: there is no such plan, or it is damaged.
        """
        path = cls.path(*names)
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{path}: {cls._why_missing(names)}") from None
        except ValidationError as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: damaged ({reason}); run `dvc repro --force plan`") from None

    @classmethod
    def _why_missing(cls, names: Sequence[str]) -> str:
        folder = FOLDER / cls.stage
        for name in names if folder.is_dir() else ():
            known = sorted(entry.stem for entry in folder.iterdir())
            if name not in known:
                return f"'{name}' is not in the grid; {did_you_mean(name, known)}"
            folder /= name
        return "not found; run `dvc repro plan`"

    @classmethod
    def path(cls, *names: str) -> Path:
        """Where the plan of an instance lies; a stage with one instance has no names."""
        return FOLDER.joinpath(cls.stage, *names).with_suffix(".json")

    def text(self) -> str:
        """The content of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


class DownloadPlan(Plan):
    """How one data set is fetched."""

    stage = "download"
    dataset: Spec
    """Its `kind` and `download`."""


class ExtractPlan(Plan):
    """How one data set becomes tensors."""

    stage = "extract"
    dataset: Spec
    """Its `kind` and `extract`."""


class WeightsPlan(Plan):
    """What one network starts from."""

    stage = "weights"
    pretrained: Spec | None
    """Its `pretrained`; None: random weights."""


class TrainPlan(Plan):
    """How one cell is trained."""

    stage = "train"
    dataset: str
    network: str
    loss: str
    network_spec: Spec
    loss_spec: Spec
    train: Train
    cpu_precision: Literal["float32", "bfloat16"]
    """What `precision: auto` means on a processor: the faster of the two on the machine that planned."""
    drawn: Count | None = None
    """Each seed trains on so many of the training images, drawn by it; None: on all."""
    tuned: bool = False
    """Whether what the stage `tune` chose takes the place of some of this."""

    @property
    def cell(self) -> Cell:
        """Which cell it is."""
        return Cell(self.dataset, self.network, self.loss)


class TunePlan(Plan):
    """What is tried for one cell; the plan of a cell that nothing is tried for is empty."""

    stage = "tune"
    tune: Tune | None = None
    of: TrainPlan | None = None
    """How each trial is trained, but for what is tried; its seeds are those of the trials."""


class EvaluatePlan(TrainPlan):
    """How one cell is scored."""

    stage = "evaluate"
    evaluate: Evaluate


class ComparePlan(Plan):
    """How scores become verdicts."""

    stage = "compare"
    grid: Grid
    losses: dict[str, Spec]
    seeds: tuple[int, ...]
    """`train.seeds`, which every cell has; some have more."""
    compare: Compare

    def seeds_of(self, cell: Cell) -> tuple[int, ...]:
        """All seeds of a cell."""
        return seeds_of(cell, self.seeds, self.grid)


class ReportPlan(Plan):
    """What the report shows."""

    stage = "report"
    params: Params
    train_code: dict[str, str]
    """Fingerprint of the code that each cell was trained with."""
    train_libraries: dict[str, str] = Field(default_factory=dict)
    """Installed libraries that cells were trained with → version, with a digest for code from elsewhere."""
