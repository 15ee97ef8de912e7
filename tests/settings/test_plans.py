"""Plans on disk: what the stage `plan` writes is what the other stages read."""

from pathlib import Path

import pytest
from projects import ROOT

from losslab.errors import InputError
from losslab.settings import params
from losslab.settings.plans import Cell, ComparePlan, DownloadPlan, TrainPlan, cells, seeds_of

PARAMS = params.load(path=ROOT / "params.yaml")
CELL = Cell("shapes", "unet", "dice")
PLAN = TrainPlan(
    code="f00d",
    dataset=CELL.dataset,
    network=CELL.network,
    loss=CELL.loss,
    network_spec=PARAMS.networks["unet"],
    loss_spec=PARAMS.losses["dice"],
    train=PARAMS.train,
    cpu_precision="float32",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Path:
    path = TrainPlan.path(*CELL.names)
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read() -> None:
    path = write(PLAN.text())
    assert path == Path("results/plan/train/shapes/unet/dice.json")
    assert TrainPlan.read(*CELL.names) == PLAN
    assert TrainPlan.read(*CELL.names).cell == CELL


def test_a_stage_with_one_instance_has_one_file() -> None:
    assert ComparePlan.path() == Path("results/plan/compare.json")
    assert DownloadPlan.path("shapes") == Path("results/plan/download/shapes.json")


def test_a_missing_plan_names_the_stage_that_writes_it() -> None:
    with pytest.raises(InputError, match=r"results/plan/train/shapes/unet/dice\.json: not found; run `dvc repro plan`"):
        TrainPlan.read(*CELL.names)
    with pytest.raises(InputError, match=r"results/plan/compare\.json: not found; run `dvc repro plan`"):
        ComparePlan.read()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("shaeps", "unet", "dice"), "'shaeps' is not in the grid; did you mean 'shapes'? known: shapes"),
        (("shapes", "munet", "dice"), "'munet' is not in the grid; did you mean 'unet'? known: unet"),
        (("shapes", "unet", "bce"), "'bce' is not in the grid; known: dice"),
    ],
)
def test_a_name_that_is_not_in_the_grid_is_answered_with_those_that_are(names: tuple[str, ...], message: str) -> None:
    write(PLAN.text())
    with pytest.raises(InputError) as caught:
        TrainPlan.read(*names)
    assert str(caught.value) == f"{TrainPlan.path(*names)}: {message}"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"code": "f00d"}', PLAN.text().replace('"epochs"', '"epoch"')])
def test_a_damaged_plan_is_one_line(text: str) -> None:
    path = write(text)
    with pytest.raises(InputError) as caught:
        TrainPlan.read(*CELL.names)
    assert str(caught.value).startswith(f"{path}: damaged (")
    assert len(str(caught.value).splitlines()) == 1


def test_cells_come_in_the_order_of_the_grid_the_losses_fastest() -> None:
    grid = params.Grid(datasets=("b", "a"), networks=("n", "m"), losses=("y", "x"))
    paths = [str(cell.path) for cell in cells(grid)]
    assert paths == ["b/n/y", "b/n/x", "b/m/y", "b/m/x", "a/n/y", "a/n/x", "a/m/y", "a/m/x"]


def test_a_cell_has_the_seeds_of_all_and_the_integers_after_them() -> None:
    grid = PARAMS.grid.model_copy(update={"seeds": {"shapes/unet/dice": 5}})
    assert seeds_of(CELL, (7, 2, 4), grid) == (7, 2, 4, 8, 9)
    assert seeds_of(Cell("shapes", "unet", "bce"), (7, 2, 4), grid) == (7, 2, 4)
    plan = ComparePlan(code="", grid=grid, losses=PARAMS.losses, seeds=(7, 2, 4), compare=PARAMS.compare)
    assert plan.seeds_of(CELL) == (7, 2, 4, 8, 9)
