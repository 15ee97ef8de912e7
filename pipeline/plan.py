"""Check params.yaml and write the plan of every stage instance; remove what the grid no longer names."""

import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

import losslab
from losslab import data, losses, networks
from losslab.errors import InputError, exit_on_error
from losslab.inference import devices
from losslab.results import paths
from losslab.results.files import atomic_folder
from losslab.settings import params
from losslab.settings.overrides import train_of
from losslab.settings.params import Params
from losslab.settings.plans import (
    FOLDER,
    Cell,
    ComparePlan,
    DownloadPlan,
    EvaluatePlan,
    ExtractPlan,
    Plan,
    ReportPlan,
    TrainPlan,
    TunePlan,
    WeightsPlan,
    cells,
    seeds_of,
)
from pipeline.fingerprints import Project

DVC_YAML = Path("dvc.yaml")
FIRST_TUNING_SEED = 1_000_000
"""Far from the seeds that are trained, for `losslab decide` adds to those."""


def main() -> None:
    settings = params.load({"datasets": data.registry, "networks": networks.registry, "losses": losses.registry})
    project = code()
    see_every_edit(settings, project)
    with atomic_folder(FOLDER) as folder:
        for path, plan in plans(settings, project).items():
            file = folder / path.relative_to(FOLDER)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(plan.text(), encoding="utf-8")
    prune(settings)


def code() -> Project:
    """The code of this repository, and losslab's own where it is installed rather than a clone."""
    package = Path(losslab.__file__).parent
    return Project([Path("src"), Path()], {} if package.is_relative_to(Path.cwd() / "src") else {"losslab": package})


def see_every_edit(settings: Params, project: Project) -> None:
    """Refuse code of one's own whose edits DVC would not notice, since the stage `plan` does not depend on it.

    Raises:
        InputError: names the files, and where to add them.
    """
    own: set[Path] = set()
    for dataset in settings.grid.datasets:
        own |= project.own("extract", {"losslab.data": settings.datasets[dataset]})
    for cell in cells(settings.grid):
        own |= project.own("train", _kinds(settings, cell))
    watched = yaml.safe_load(DVC_YAML.read_text(encoding="utf-8"))["stages"]["plan"]["deps"] if own else []
    lacking = [path for path in sorted(own) if not any(path.is_relative_to(str(folder)) for folder in watched)]
    if lacking:
        files = ", ".join(map(str, lacking))
        raise InputError(f"{DVC_YAML}: an edit of {files} would not be noticed; add it to `deps` of the stage `plan`")


def _kinds(settings: Params, cell: Cell) -> dict[str, Any]:
    return {"losslab.networks": settings.networks[cell.network], "losslab.losses": settings.losses[cell.loss]}


def plans(settings: Params, project: Project) -> dict[Path, Plan]:
    """The plan of every stage instance that the grid asks for, by where it is to lie."""

    def used(stage: str, kinds: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"code": project.fingerprint(stage, kinds), "libraries": project.libraries(stage, kinds)}

    written: dict[Path, Plan] = {}
    cpu_precision = devices.cpu_precision()
    drawn: dict[str, int | None] = {}
    for dataset in settings.grid.datasets:
        spec, drawn[dataset] = _source(settings, dataset)
        kind = {"losslab.data": spec}
        for stage in (DownloadPlan, ExtractPlan):
            options = {key: spec[key] for key in ("kind", stage.stage)}
            written[stage.path(dataset)] = stage(dataset=options, **used(stage.stage, kind))
    for name in settings.grid.networks:
        pretrained = settings.networks[name].get("pretrained")
        # Without any, the stage does nothing, and no edit of its code is to run it again.
        code = used("weights") if pretrained else {"code": ""}
        written[WeightsPlan.path(name)] = WeightsPlan(pretrained=pretrained, **code)
    train_code: dict[str, str] = {}
    train_libraries: dict[str, str] = {}
    for cell in cells(settings.grid):
        network, loss = settings.networks[cell.network], settings.losses[cell.loss]
        kinds = _kinds(settings, cell)
        common: dict[str, Any] = dict(zip(("dataset", "network", "loss"), cell.names, strict=True))
        train = train_of(settings, cell.loss)
        train = train.model_copy(update={"seeds": seeds_of(cell, train.seeds, settings.grid)})
        loss = {key: value for key, value in loss.items() if key != "train"}  # it stands in the other one
        if "pretrained" not in network:  # an encoder that starts at random is to learn
            train = train.model_copy(update={"freeze": 0, "encoder_lr_factor": 1.0})
        common |= {"network_spec": network, "loss_spec": loss, "train": train, "cpu_precision": cpu_precision}
        common["drawn"] = drawn[cell.dataset]
        common["tuned"] = bool(settings.tune.trials)
        trained = TrainPlan(**common, **used("train", kinds))
        train_code[str(cell)] = trained.code
        train_libraries |= trained.libraries
        written[TrainPlan.path(*cell.names)] = trained
        tuned = TunePlan(**_search(settings, trained), **used("tune", kinds)) if trained.tuned else TunePlan(code="")
        written[TunePlan.path(*cell.names)] = tuned
        metrics = {"losslab.evaluation.extra": [{"kind": metric} for metric in settings.evaluate.metrics]}
        scored = EvaluatePlan(evaluate=settings.evaluate, **common, **used("evaluate", kinds | metrics))
        written[EvaluatePlan.path(*cell.names)] = scored
    written[ComparePlan.path()] = ComparePlan(
        grid=settings.grid,
        losses={name: settings.losses[name] for name in settings.grid.losses},
        seeds=settings.train.seeds,
        compare=settings.compare,
        **used("compare"),
    )
    written[ReportPlan.path()] = ReportPlan(
        params=settings, train_code=train_code, train_libraries=train_libraries, **used("report")
    )
    return written


def _source(settings: Params, dataset: str) -> tuple[dict[str, Any], int | None]:
    """How a data set is fetched and extracted, and how many of its training images each seed draws, if it draws them.

    Raises:
        InputError: seeds are to draw, and the data set has no more images than are used.
    """
    spec = settings.datasets[dataset]
    if not settings.train.resample:
        return spec, None
    kind = data.registry.resolve(spec["kind"])
    whole, number = kind.pooled(spec)
    if number is None:
        where = ".".join(("datasets", dataset, *kind.TRAINING_IMAGES))
        raise InputError(
            f"{params.PARAMS}: train.resample: {dataset} is trained on every image that it has, so there is nothing to "
            f"draw; give {where}, if its kind has that, or remove train.resample"
        )
    return whole, number


def _search(settings: Params, of: TrainPlan) -> dict[str, Any]:
    """What is tried for a cell. Of the options of losses it has those of its own, if any loss has some."""
    free = (seed for seed in itertools.count(FIRST_TUNING_SEED) if seed not in settings.train.seeds)
    train = of.train.model_copy(update={"seeds": tuple(itertools.islice(free, settings.tune.seeds))})
    options = {of.loss: settings.tune.options.get(of.loss, {})} if settings.tune.options else {}
    rates = settings.tune.rates(settings.train.optimizer.lr)  # the same for a loss that has a rate of its own
    tune = settings.tune.model_copy(update={"options": options, "lr": rates})
    return {"tune": tune, "of": of.model_copy(update={"train": train, "tuned": False})}


def prune(settings: Params) -> None:
    """Remove what the grid no longer names; DVC's cache still has it.

    `compare` and `report` depend on whole folders of results, whose content must be what the grid says.
    """
    grid = [cell.path for cell in cells(settings.grid)]
    for root in (paths.TUNE, paths.TRAIN, paths.EVALUATE):
        _keep(root, grid)
    for root in (paths.RAW, paths.TENSORS):
        _keep(root, [Path(dataset) for dataset in settings.grid.datasets])
    _keep(paths.WEIGHTS, [Path(network) for network in settings.grid.networks])


def _keep(root: Path, wanted: Iterable[Path]) -> None:
    """Remove what lies in `root` but the `wanted` paths, all of one depth, and the folders they lie in."""
    below: dict[str, list[Path]] = {}
    for path in wanted:
        first, *rest = path.parts
        below.setdefault(first, []).append(Path(*rest))
    for entry in root.iterdir() if root.is_dir() else ():
        if entry.name not in below:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        elif below[entry.name][0].parts:
            _keep(entry, below[entry.name])


if __name__ == "__main__":
    exit_on_error(main)
