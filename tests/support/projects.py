"""Small copies of the project, with git and DVC, to run it in as its users do."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent

PARTS = ("src", "pipeline", "dvc.yaml", "params.yaml", "pyproject.toml", "requirements.lock")
PARTS += (".dvcignore", ".gitignore")


@dataclass
class Project:
    """A copy of the project in a folder of its own, with git and DVC."""

    root: Path
    commands: Path = Path(sys.executable).parent
    """The folder of the commands `python` and `dvc`; see `warm`."""

    @property
    def params(self) -> dict[str, Any]:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def set(self, change: Callable[[dict[str, Any]], Any]) -> None:
        params = self.params
        change(params)
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        everything = {k: v for k, v in os.environ.items() if not k.startswith("DVC_")}
        path = f"{self.commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        everything |= {"PATH": path, "LOSSLAB_MLFLOW": "off", **env}
        command = (shutil.which(command[0], path=path) or command[0], *command[1:])
        return subprocess.run(command, cwd=self.root, env=everything, capture_output=True, text=True, timeout=500)

    def stage(self, name: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", f"pipeline.{name}", *arguments, **env)

    def copy(self, root: Path) -> "Project":
        """A copy with DVC's cache and everything that was done, but for MLflow's store, which knows its own path."""
        apart = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "__pycache__")
        shutil.copytree(self.root, root, symlinks=True, ignore=apart)
        return replace(self, root=root)

    def repro(self, *options: str, **env: str) -> list[str]:
        """`dvc repro`; the stages whose commands it ran (not those it took from its cache)."""
        done = self.run("dvc", "repro", *options, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text that is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def tiny(params: dict[str, Any]) -> None:
    """Make the default params small: the 20-image files, two losses, one seed, one epoch, a narrow network."""
    shapes = params["datasets"]["shapes"]
    shapes["download"] |= {
        "train_file": "PurdueShapes5MultiObject-20-train.gz",
        "test_file": "PurdueShapes5MultiObject-20-test.gz",
    }
    shapes["extract"] |= {"train_images": 12, "val_images": 8, "test_images": 20}
    params["grid"]["losses"] = ["bce", "dice"]
    params["train"] |= {"seeds": [0], "epochs": 2, "batch_size": 4, "threads": 1}
    params["networks"]["unet"] |= {"width": 4, "levels": 2}
    params["compare"]["resamples"] = 50


def new_project(root: Path) -> Project:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / part)
    project = Project(root)
    project.set(tiny)
    return project


def new_repository(root: Path, commands: Path = Path(sys.executable).parent) -> Project:
    """A small project with git, DVC and its plots; `commands` as in `Project`."""
    project = replace(new_project(root), commands=commands)
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        assert project.run(*command).returncode == 0
    shutil.copytree(ROOT / ".dvc" / "plots", project.root / ".dvc" / "plots")
    return project


def add_readme_loss(root: Path) -> dict[str, Any]:
    """Follow the README's "Add a loss of your own" in the copy at `root`: its file and its line of `KINDS`.

    Gives its entry of params.yaml: `{name: options}`.
    """
    steps = (ROOT / "README.md").read_text().split("### Add a loss of your own", 1)[1]
    file, source, line, entry = (
        next(re.finditer(pattern, steps, re.DOTALL))[1]
        for pattern in (r"Write `(.+?)`", r"```python\n(.+?)```", r"`(\"\w+\": .+?,)`", r"`(\w+: \{kind: .+?\})`")
    )
    (root / file).write_text(textwrap.dedent(source))
    kinds = root / "src/losslab/losses/__init__.py"
    kinds.write_text(kinds.read_text().replace("KINDS = {\n", f"KINDS = {{\n    {line}\n", 1))
    return yaml.safe_load(entry)
