"""What tests of tracking share: a project with results, trained once."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from projects import Project, new_project
from tracked import LOSSES, NETWORKS, SEEDS

from losslab.results import paths
from losslab.tracking import runs, sync


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Project:
    """A project with all its results, a stand-in for its report, and nothing in MLflow."""
    project = new_project(tmp_path_factory.mktemp("finished"))
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    project.set(lambda p: p["train"].update(seeds=list(SEEDS)))
    project.set(lambda p: p["networks"].update(narrow=p["networks"]["unet"] | {"width": 2}))
    project.set(lambda p: p["grid"].update(networks=list(NETWORKS)))
    stages = [("plan",), ("download", "shapes"), ("extract", "shapes")]
    cells = [("shapes", network, loss) for network in NETWORKS for loss in LOSSES]
    stages += [(stage, *cell) for cell in cells for stage in ("train", "evaluate")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        patch.setenv("LOSSLAB_MLFLOW", "off")
        for stage, *arguments in (*stages, ("compare",)):
            patch.setattr(sys, "argv", [stage, *arguments])
            importlib.import_module(f"pipeline.{stage}").main()
    # Where a report and its figures lie; drawing them takes seconds, and MLflow does not look into them.
    for file in (paths.REPORT, *(paths.FIGURES / "shapes" / network / "leaderboard.png" for network in NETWORKS)):
        (project.root / file).parent.mkdir(parents=True, exist_ok=True)
        (project.root / file).write_text(f"{file}", encoding="utf-8")
    MlflowClient(f"sqlite:///{project.root}/mlflow.db")  # empty: made once, because that takes seconds
    return project


@pytest.fixture
def ready(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, to be the working directory, before this process has spoken to MLflow."""
    shutil.copytree(finished.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for name in ("LOSSLAB_MLFLOW", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for module, name, value in (
        (sync, "_retry_at", 0.0),
        (sync, "_attempted", None),
        (runs, "_spent", {}),
        (runs, "_logged", {}),
    ):
        monkeypatch.setattr(module, name, value)
    return Project(tmp_path)
