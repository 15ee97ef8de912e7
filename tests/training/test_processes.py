"""Two processes train what one trains."""

from pathlib import Path

import pytest
from projects import Project, new_project
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from losslab.results import history

pytestmark = pytest.mark.slow


def trained(project: Project, processes: int) -> tuple[dict[str, Tensor], list[history.Row]]:
    """The weights and the history of a run of one epoch, in 32 bits."""
    project.set(
        lambda p: p["train"].update(
            processes=processes,
            epochs=1,
            precision="float32",
            optimizer={"kind": "sgd", "lr": 0.1, "momentum": 0.9},
        )
    )
    for stage in (("plan",), ("train", "shapes", "unet", "dice")):
        done = project.stage(*stage)
        assert done.returncode == 0, done.stderr
    folder = project.root / "results/train/shapes/unet/dice"
    return load_file(folder / "seed0.safetensors"), history.read(folder / "history.csv")


@pytest.fixture
def ready(tmp_path: Path, shapes: Path) -> Project:
    project = new_project(tmp_path)
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    for stage in (("plan",), ("download", "shapes"), ("extract", "shapes")):
        done = project.stage(*stage)
        assert done.returncode == 0, done.stderr
    return project


def test_two_processes_train_what_one_trains(ready: Project) -> None:
    # Dice pools over the batch, and the network has batch normalisation: halves of a batch know of each other.
    (one, rows_of_one), (two, rows_of_two) = (trained(ready, processes) for processes in (1, 2))
    assert_close(two, one, rtol=1e-4, atol=1e-5)
    assert [row[:5] for row in rows_of_two] == [row[:5] for row in rows_of_one]
    by_loss = [[row.value for row in rows if row.metric == "loss"] for rows in (rows_of_one, rows_of_two)]
    assert by_loss[1] == pytest.approx(by_loss[0], rel=1e-4)
    assert len(list((ready.root / "checkpoints").iterdir())) == 2, "another number of processes is another run"


def test_a_network_with_unused_parameters_trains_too(ready: Project) -> None:
    ready.set(lambda p: p["networks"].update(unet={"kind": "munet"}))
    (one, _), (two, _) = (trained(ready, processes) for processes in (1, 2))
    assert_close(two, one, rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused(ready: Project) -> None:
    ready.set(lambda p: p["train"].update(processes=3))
    assert ready.stage("plan").returncode == 0
    done = ready.stage("train", "shapes", "unet", "dice")
    assert done.returncode != 0
    assert "error: params.yaml: train.batch_size: 4 images cannot be shared by 3 processes" in done.stderr
