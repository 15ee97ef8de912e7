"""What MLflow has of a project with all its results, two networks and two losses."""

from mlflow.entities import Run

from losslab.results import runs as results_runs
from losslab.settings.plans import Cell, TrainPlan
from losslab.tracking import store
from pipeline import plan

NETWORKS = ("unet", "narrow")
LOSSES = ("bce", "dice")
SEEDS = (0, 1)
NAMES = {f"{network}-{loss}-seed{seed}" for network in NETWORKS for loss in LOSSES for seed in SEEDS}
DICE = Cell("shapes", "unet", "dice")


def planned(cell: Cell = DICE) -> TrainPlan:
    """The plan of a cell's training."""
    return TrainPlan.read(*cell.names)


def first_run(cell: Cell = DICE) -> results_runs.Run:
    """The run of the first seed of a cell."""
    return results_runs.of(planned(cell))[0]


def plan_again() -> None:
    """What `dvc repro` does first after a change of params.yaml."""
    plan.main()


def logged_runs(dataset: str = "shapes") -> dict[str, Run]:
    """The runs in the store, by name."""
    client, experiment = store.connect(dataset)
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def points(run: Run, metric: str) -> list[tuple[int, float]]:
    """Steps and values of a metric of a run."""
    client, _ = store.connect("shapes")
    return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric))
