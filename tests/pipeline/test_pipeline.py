"""The whole pipeline as its users run it: a real DVC repository, real images, real MLflow."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from projects import ROOT, Project, add_readme_loss, new_project, tiny

from losslab.results import tuning_table

AFTER = {"compare", "report"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository in which `dvc repro` has run once, from the package index to the report."""
    project = new_project(tmp_path_factory.mktemp("repository"))
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc" / "plots", project.root / ".dvc" / "plots")
    everything = {"code", "download@shapes", "extract@shapes", *AFTER}
    everything |= {f"{stage}@shapes-{loss}" for stage in ("train", "evaluate") for loss in ("bce", "dice")}
    assert set(project.repro(LOSSLAB_MLFLOW="on")) == everything
    return project


@pytest.fixture
def clean(repository: Project) -> Iterator[Project]:
    """The repository with its params and sources as they were after the first run."""
    yield repository
    shutil.copy(ROOT / "params.yaml", repository.root / "params.yaml")
    repository.set(tiny)
    shutil.rmtree(repository.root / "src")
    shutil.copytree(ROOT / "src", repository.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    assert set(repository.repro()) <= {"code"}, "going back computes nothing"


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def outputs(project: Project) -> dict[str, str]:
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def mlflow_runs(project: Project) -> list[Run]:
    """The runs of losses in mlflow.db, by name, from a copy: MLflow keeps a file open as long as its process lives."""
    copy = project.root / f"{uuid4()}.db"
    shutil.copy(project.root / "mlflow.db", copy)
    client = MlflowClient(f"sqlite:///{copy}")
    found = client.search_runs([client.get_experiment_by_name("shapes").experiment_id], "tags.loss != ''")
    return sorted(found, key=lambda run: run.info.run_name)


def test_nothing_changed_runs_nothing(clean: Project) -> None:
    assert clean.repro() == []


def test_every_result_is_there(clean: Project) -> None:
    results = clean.root / "results"
    board = json.loads((results / "leaderboard.json").read_text())
    assert {row["loss"] for row in board} == {"bce", "dice"}
    assert all(row["images"] == 20 and row["seeds"] == 1 for row in board)
    page = (results / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == len(list((results / "figures/shapes").iterdir())) > 10
    assert "http://" not in page
    assert "https://" not in page
    extract = json.loads((clean.root / "data/tensors/shapes/extract.json").read_text())
    kept = sum(split["kept"] + sum(split["left_out"].values()) for split in extract["splits"].values())
    assert kept == extract["source_images"] == 40


def test_a_loss_param_runs_that_loss_and_what_follows(clean: Project) -> None:
    clean.set(lambda p: p["losses"]["dice"].update(smooth=0.5))
    assert set(clean.repro(LOSSLAB_MLFLOW="on")) == {"code", "train@shapes-dice", "evaluate@shapes-dice", *AFTER}
    assert len(mlflow_runs(clean)) == 3, "the changed run stands beside the old ones"


def test_the_loss_that_the_readme_adds_runs_alone_and_stands_in_report_and_mlflow(clean: Project) -> None:
    entry = add_readme_loss(clean.root)
    (name,) = entry

    def add(params: dict[str, Any]) -> None:
        params["losses"] |= entry
        params["grid"]["losses"].append(name)

    clean.set(add)
    assert set(clean.repro(LOSSLAB_MLFLOW="on")) == {"code", f"train@shapes-{name}", f"evaluate@shapes-{name}", *AFTER}
    assert f"</span>{name}</th>" in (clean.root / "results/report.html").read_text()
    assert f"shapes,{name},miou,tuned," in (clean.root / "results/leaderboard.csv").read_text()
    (run,) = (run for run in mlflow_runs(clean) if run.data.tags["loss"] == name)
    assert run.data.tags["kind"] == entry[name]["kind"]
    assert run.data.metrics.keys() >= {"val_miou", "test_miou_tuned"}
    assert run.data.params["loss.weight"] == str(entry[name]["weight"])


def test_what_tuning_tried_stands_in_the_report(clean: Project) -> None:
    path = clean.root / "results/tuning/shapes-bce.csv"
    tuning_table.write(path, {tuning_table.Setting("adamw", lr, None, 200, 7): [0.5, 0.4] for lr in (0.1, 0.01)})
    assert clean.repro() == ["report"]
    page = (clean.root / "results/report.html").read_text()
    assert "Tuning of adamw for bce" in page
    assert "on 200 training images with seed 7" in page
    path.unlink()


def test_a_removed_loss_is_gone_from_everywhere(clean: Project) -> None:
    clean.set(lambda p: p["grid"]["losses"].remove("dice"))
    assert set(clean.repro()) == {"code", *AFTER}
    assert "</span>dice</th>" not in (clean.root / "results/report.html").read_text()
    assert "dice,miou" not in (clean.root / "results/leaderboard.csv").read_text()
    assert not (clean.root / "results/models/shapes/dice").exists()


def test_an_added_seed_trains_only_itself(clean: Project) -> None:
    clean.set(lambda p: p["train"].update(seeds=[0, 1]))
    before = {path: path.stat().st_mtime_ns for path in (clean.root / "checkpoints").glob("*.pt")}
    models = {path.parent.name: path.read_bytes() for path in clean.root.glob("results/models/shapes/*/seed0.*")}
    clean.repro()
    after = {path: path.stat().st_mtime_ns for path in (clean.root / "checkpoints").glob("*.pt")}
    assert {path: after[path] for path in before} == before, "the finished seed was not touched"
    assert len(after) == len(before) + 2
    for loss, content in models.items():
        assert (clean.root / f"results/models/shapes/{loss}/seed0.safetensors").read_bytes() == content


def test_comments_and_docstrings_run_nothing_but_code(clean: Project) -> None:
    for file, old, new in (
        ("src/losslab/losses/dice.py", "import dataclass\n", "import dataclass  # a comment\n"),
        ("src/losslab/training.py", '"""The training loop', '"""The loop'),
        ("src/losslab/metrics.py", '"""Intersection over union', '"""IoU, intersection over union'),
    ):
        edit(clean.root / file, old, new)
    assert clean.repro() == ["code"]


def test_the_body_of_a_loss_runs_the_losses_that_use_it(clean: Project) -> None:
    edit(clean.root / "src/losslab/losses/dice.py", "return ", "return 1.5 * ")
    assert set(clean.repro()) == {"code", "train@shapes-dice", "evaluate@shapes-dice", *AFTER}


def test_a_change_of_the_report_runs_the_report_alone(clean: Project) -> None:
    for file, old, new in (
        ("src/losslab/report/answer.py", "comes first", "leads"),
        ("src/losslab/report/style.css", "body {", "body {\n  hyphens: auto;"),
        ("src/losslab/figures/style.py", '"font.size": 10', '"font.size": 11'),
    ):
        edit(clean.root / file, old, new)
    assert clean.repro() == ["code", "report"]


def test_dvc_shows_metrics_params_plots_and_the_graph(clean: Project) -> None:
    assert "shapes.dice.miou_tuned" in clean.run("dvc", "metrics", "show").stdout
    assert "train@shapes-dice" in clean.run("dvc", "dag").stdout
    plots = clean.run("dvc", "plots", "show", "--json")
    assert plots.returncode == 0, plots.stderr
    assert {"validation mIoU", "test mIoU"} <= set(json.loads(plots.stdout)["data"])


def test_mlflow_is_brought_back_by_track_and_never_doubled(clean: Project) -> None:
    wanted = {run.info.run_name: run.data.tags["run_key"] for run in mlflow_runs(clean)}
    (clean.root / "mlflow.db").unlink()
    for _ in range(2):
        done = clean.run("python", "-m", "losslab", "track", PYTHONPATH="src", LOSSLAB_MLFLOW="on")
        assert done.returncode == 0, done.stderr
        found = mlflow_runs(clean)
        assert [run.info.run_name for run in found] == ["bce-seed0", "dice-seed0"]
    run = found[0]
    assert run.data.tags["run_key"] == wanted["bce-seed0"]
    assert run.data.metrics.keys() >= {"val_miou", "test_miou_tuned"}
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["data_md5"]
    assert run.info.status == "FINISHED"
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert artifacts.is_relative_to(clean.root / "mlartifacts/shapes")
    assert (artifacts / "sample.png").is_file()


@pytest.mark.slow
def test_everything_twice_gives_the_same_bytes(clean: Project) -> None:
    first = outputs(clean)
    shutil.rmtree(clean.root / "checkpoints")
    clean.repro("--force")
    assert outputs(clean) == first


@pytest.mark.slow
def test_an_experiment_runs_in_a_folder_of_its_own(clean: Project) -> None:
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "start"]):
        assert clean.run("git", *command).returncode == 0
    done = clean.run("dvc", "exp", "run", "--temp", "-S", "losses.dice.smooth=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train@shapes-dice" in done.stdout
    assert "train@shapes-bce" not in done.stdout.replace("'train@shapes-bce' didn't change", "")
    assert Path(clean.root / "mlflow.db").exists()
