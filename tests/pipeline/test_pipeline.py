"""The whole pipeline as its users run it: a real DVC repository, real images, real MLflow.

One repository in which everything has run; a test that changes something has a copy. What an edit re-runs is a table in
`test_what_reruns.py`; here DVC is seen to do as the plans say.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from projects import Project, add_readme_loss, edit, new_repository

from losslab.results import runs
from losslab.settings.plans import TrainPlan

STAGES = ("tune", "train", "evaluate")
AFTER = {"compare", "report"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Project:
    """A repository in which `dvc repro` has run once, from the package index to the report; not to be changed."""
    project = new_repository(tmp_path_factory.mktemp("repository") / "project", commands)
    everything = {"plan", "download@shapes", "extract@shapes", "weights@unet", *AFTER}
    everything |= {f"{stage}@shapes-unet-{loss}" for stage in STAGES for loss in ("bce", "dice")}
    assert set(project.repro()) == everything
    return project


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished repository, to be changed."""
    return finished.copy(tmp_path / "copy")


def outputs(project: Project) -> dict[str, str]:
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def test_nothing_changed_runs_nothing(finished: Project) -> None:
    assert finished.repro() == []


def test_every_result_is_there(finished: Project) -> None:
    results = finished.root / "results"
    board = json.loads((results / "compare/leaderboard.json").read_text())
    assert {(row["dataset"], row["network"], row["loss"]) for row in board} == {
        ("shapes", "unet", "bce"),
        ("shapes", "unet", "dice"),
    }
    assert all(row["images"] == 20 and row["seeds"] == 1 for row in board)
    page = (results / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == len(list((results / "figures/shapes/unet").iterdir())) > 10
    assert "http://" not in page
    assert "https://" not in page
    for loss in ("bce", "dice"):
        assert {path.name for path in (results / "train/shapes/unet" / loss).iterdir()} == {
            "history.csv",
            "seed0.safetensors",
        }
        assert {path.name for path in (results / "evaluate/shapes/unet" / loss).iterdir()} == {
            "scores.csv",
            "boundaries.csv",
            "predictions",
        }
    extract = json.loads((finished.root / "data/tensors/shapes/extract.json").read_text())
    kept = sum(split["kept"] + sum(split["left_out"].values()) for split in extract["splits"].values())
    assert kept == extract["source_images"] == 40


def test_dvc_shows_metrics_params_plots_and_the_graph(finished: Project) -> None:
    assert "shapes.unet.dice.miou_tuned" in finished.run("dvc", "metrics", "show").stdout
    assert "train@shapes-unet-dice" in finished.run("dvc", "dag").stdout
    plots = finished.run("dvc", "plots", "show", "--json")
    assert plots.returncode == 0, plots.stderr
    assert {"validation mIoU", "test mIoU"} <= set(json.loads(plots.stdout)["data"])


def test_dvc_finds_out_of_date_what_the_plans_say(copy: Project) -> None:
    edit(copy.root / "src/losslab/losses/overlap/dice.py", "return ", "return 1.5 * ")
    edit(copy.root / "src/losslab/losses/pixel/bce.py", '"""', '"""In other words: ')
    assert copy.repro("plan") == ["plan"]
    status = json.loads(copy.run("dvc", "status", "--json").stdout)
    assert set(status) == {"train@shapes-unet-dice", "evaluate@shapes-unet-dice", "report"}
    edit(copy.root / "src/losslab/losses/overlap/dice.py", "return 1.5 * ", "return ")
    assert copy.repro() == ["plan"], "going back computes nothing"


def test_a_locale_that_is_not_utf_8_plans_the_same(copy: Project) -> None:
    plans = {path: path.read_bytes() for path in (copy.root / "results/plan").rglob("*.json")}
    file = copy.root / "params.yaml"
    file.write_text("# 山 × é\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    planned = copy.stage("plan", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert planned.returncode == 0, planned.stderr
    assert {path: path.read_bytes() for path in (copy.root / "results/plan").rglob("*.json")} == plans
    assert len(plans) > 4


def test_another_version_of_torch_trains_again_unless_results_are_kept_knowingly(copy: Project, tmp_path: Path) -> None:
    other = tmp_path / "torch-99.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n", encoding="utf-8")
    newer = {"PYTHONPATH": str(tmp_path)}
    forced = copy.stage("train", "shapes", "unet", "dice", **newer)
    assert forced.returncode == 1
    assert re.match(r"error: torch 99.0 is installed here, and this was planned with \d+\.\d+", forced.stderr)
    edit(copy.root / "requirements.lock", "torch==", "torch==99.0+")
    assert copy.repro("plan", **newer) == ["plan"]
    retrained = set(json.loads(copy.run("dvc", "status", "--json", **newer).stdout))
    assert {"train@shapes-unet-dice", "evaluate@shapes-unet-bce"} <= retrained
    assert not {"download@shapes", "extract@shapes"} & retrained
    assert copy.run("dvc", "commit", "--force", **newer).returncode == 0
    assert copy.repro(**newer) == []


@pytest.fixture(scope="module")
def grown(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, Any]]:
    """A copy in which the README's loss has taken the place of Dice; and the entry of that loss in params.yaml. MLflow
    was on as it was trained."""
    project = finished.copy(tmp_path_factory.mktemp("grown") / "project")
    entry = add_readme_loss(project.root)
    (name,) = entry
    project.set(lambda p: p["losses"].update(entry))
    project.set(lambda p: p["grid"].update(losses=["bce", name]))
    stages = ["plan", f"tune@shapes-unet-{name}", f"train@shapes-unet-{name}"]
    assert project.repro("--single-item", *stages, LOSSLAB_MLFLOW="on") == stages
    assert set(project.repro()) == {f"evaluate@shapes-unet-{name}", *AFTER}, "and no other loss"
    return project, entry


def test_the_loss_that_the_readme_adds_stands_in_report_and_leaderboard(grown: tuple[Project, dict[str, Any]]) -> None:
    project, (name,) = grown
    assert f"</span>{name}</th>" in (project.root / "results/report.html").read_text()
    assert f"shapes,unet,{name},miou,tuned," in (project.root / "results/compare/leaderboard.csv").read_text()


def test_a_removed_loss_is_gone_from_everywhere(grown: tuple[Project, dict[str, Any]]) -> None:
    results = grown[0].root / "results"
    assert "</span>dice</th>" not in (results / "report.html").read_text()
    assert "dice,miou" not in (results / "compare/leaderboard.csv").read_text()
    assert list(results.rglob("dice*")) == []


def test_mlflow_heard_of_a_training_and_track_brings_the_rest_and_doubles_nothing(
    grown: tuple[Project, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, entry = grown
    (name,) = entry
    monkeypatch.chdir(project.root)
    (heard,) = mlflow_runs(project, "before.db")
    assert heard.data.tags["loss"] == name
    assert "val_miou" in heard.data.metrics

    done = project.run("python", "-m", "losslab", "track", PYTHONPATH="src", LOSSLAB_MLFLOW="on")
    assert done.returncode == 0, done.stderr
    tracked = {run.data.tags["loss"]: run for run in mlflow_runs(project, "after.db")}
    assert {loss: run.data.tags["run_key"] for loss, run in tracked.items()} == {
        run.cell.loss: run.key for loss in ("bce", name) for run in runs.of(TrainPlan.read("shapes", "unet", loss))
    }
    run = tracked[name]
    assert run.info.run_id == heard.info.run_id
    assert run.data.tags["kind"] == entry[name]["kind"]
    assert run.data.params["loss.weight"] == str(float(entry[name]["weight"]))
    for run in tracked.values():
        assert run.data.metrics.keys() >= {"val_miou", "test_miou_tuned"}
        assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["data_md5"]
        assert run.info.status == "FINISHED"
        artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
        assert artifacts.is_relative_to(project.root / "mlartifacts/shapes")
        assert (artifacts / "sample.png").is_file()


def mlflow_runs(project: Project, copy: str) -> list[Run]:
    """The runs of losses in mlflow.db, from a copy: MLflow keeps a file open as long as its process lives."""
    shutil.copy(project.root / "mlflow.db", project.root / copy)
    client = MlflowClient(f"sqlite:///{project.root / copy}")
    experiment = client.get_experiment_by_name("shapes")
    assert experiment
    return list(client.search_runs([experiment.experiment_id], "tags.loss != ''"))


def test_an_added_seed_trains_only_itself(copy: Project) -> None:
    copy.set(lambda p: p["train"].update(seeds=[0, 1]))
    before = {path: path.stat().st_mtime_ns for path in (copy.root / "checkpoints").glob("*.pt")}
    model = copy.root / "results/train/shapes/unet/dice/seed0.safetensors"
    content = model.read_bytes()
    assert copy.repro("--single-item", "plan", "train@shapes-unet-dice") == ["plan", "train@shapes-unet-dice"]
    after = {path: path.stat().st_mtime_ns for path in (copy.root / "checkpoints").glob("*.pt")}
    assert {path: after[path] for path in before} == before, "the finished seed was not touched"
    assert len(after) == len(before) + 1
    assert model.read_bytes() == content
    assert model.with_name("seed1.safetensors").is_file()


def test_a_seed_added_to_one_cell_trains_there_alone(copy: Project) -> None:
    copy.set(lambda p: p["grid"].update(seeds={"shapes/unet/dice": 2}))
    before = outputs(copy)
    trained = {path.name for path in (copy.root / "checkpoints").glob("*.pt")}
    assert copy.repro() == ["plan", "train@shapes-unet-dice", "evaluate@shapes-unet-dice", *sorted(AFTER)]
    assert len({path.name for path in (copy.root / "checkpoints").glob("*.pt")} - trained) == 1
    after = outputs(copy)
    assert all(after[f"results/{stage}/shapes/unet/bce"] == before[f"results/{stage}/shapes/unet/bce"]
               for stage in ("train", "evaluate"))  # fmt: skip
    board = json.loads((copy.root / "results/compare/leaderboard.json").read_text())
    assert {row["loss"]: row["seeds"] for row in board} == {"bce": 1, "dice": 2}


@pytest.mark.slow
def test_everything_twice_gives_the_same_bytes(copy: Project) -> None:
    first = outputs(copy)
    shutil.rmtree(copy.root / "checkpoints")
    copy.repro("--force")
    assert outputs(copy) == first


@pytest.mark.slow
def test_an_experiment_runs_in_a_folder_of_its_own(copy: Project) -> None:
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "start"]):
        assert copy.run("git", *command).returncode == 0
    done = copy.run("dvc", "exp", "run", "--temp", "-S", "losses.dice.smooth=0", LOSSLAB_MLFLOW="on")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train@shapes-unet-dice" in done.stdout
    assert "train@shapes-unet-bce" not in done.stdout.replace("'train@shapes-unet-bce' didn't change", "")
    assert (copy.root / "mlflow.db").is_file()
