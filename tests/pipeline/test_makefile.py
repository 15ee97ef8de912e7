"""The Makefile: in any folder, and nothing that it starts sends anything to where the user did not name."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from coco_world import wait_for
from logging_proxy import Proxy, logging_proxy
from mlflow_servers import free_port
from projects import ROOT, Project, new_repository

from pipeline import NO_TELEMETRY

PARTS = ("Makefile", "requirements.lock", "pyproject.toml")
READY = ("make", "-o", ".venv/ready")
"""make with the environment as it is."""


@pytest.fixture
def spaced(tmp_path: Path, shapes: Path) -> Project:
    """A small repository in a folder whose name a shell takes apart, with this environment."""
    project = new_repository(tmp_path / "it's $HOME (a copy)")
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    for part in PARTS:
        shutil.copy(ROOT / part, project.root)
    shutil.copy(ROOT / ".dvc/config", project.root / ".dvc")
    (project.root / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return project


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy that nothing should ask for anything."""
    with logging_proxy() as running:
        yield running


def make(project: Project, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """make, with no other tools than its own environment's and the system's."""
    environment = (env or dict(os.environ)) | {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        [*READY, *arguments], cwd=project.root, env=environment, capture_output=True, text=True, timeout=500
    )


def test_a_path_with_a_space_does_not_break_make(spaced: Project) -> None:
    checked = make(spaced, "check")
    assert checked.returncode == 0, checked.stderr
    assert "params.yaml: correct; 2 runs in the grid" in checked.stdout


@pytest.mark.parametrize("target", ["ray", ".peer"])
def test_packages_go_into_its_own_environment_whatever_one_is_active(tmp_path: Path, target: str) -> None:
    for part in PARTS:
        shutil.copy(ROOT / part, tmp_path)
    (tmp_path / "tests/peer").mkdir(parents=True)
    (tmp_path / "tests/peer/requirements.txt").touch()
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    for name, script in (("python", "true"), ("uv", 'echo "$VIRTUAL_ENV" >> told')):
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    done = make(Project(tmp_path), target, env=dict(os.environ) | {"VIRTUAL_ENV": "/elsewhere"})
    assert done.returncode == 0, done.stderr
    assert set((tmp_path / "told").read_text().split()) == {".venv"}


@pytest.mark.slow
def test_all_of_the_pipeline_runs_in_a_path_with_a_space(spaced: Project) -> None:
    done = make(spaced, "JOBS=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (spaced.root / "results/report.html").is_file()
    assert (spaced.root / "mlflow.db").is_file()
    assert make(spaced, "track").returncode == 0


def test_an_environment_is_set_up_in_a_path_with_a_space(tmp_path: Path) -> None:
    """By a python and a uv that only write down what they are asked."""
    folder = tmp_path / "it's $HOME (a copy)"
    tools = folder / ".venv/bin"
    tools.mkdir(parents=True)
    for part in PARTS:
        shutil.copy(ROOT / part, folder)
    for tool in ("python", "uv"):
        script = f"""\
            #!/bin/sh
            echo "{tool} $VIRTUAL_ENV $*" >> asked
            """
        (tools / tool).write_text(textwrap.dedent(script), encoding="utf-8")
        (tools / tool).chmod(0o755)
    command = ["make", f"PYTHON={shlex.quote(sys.executable)}", ".venv/ready"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    asked = (folder / "asked").read_text(encoding="utf-8").splitlines()
    assert [" ".join(line.split()[:4]) for line in asked] == [
        "python .venv -m pip", "uv .venv pip install", "uv .venv pip install"
    ]  # fmt: skip
    assert (folder / ".venv/ready").is_file()
    active = f". .venv/bin/activate; env | grep -E '^({'|'.join(NO_TELEMETRY)})='"
    shown = subprocess.run(["sh", "-c", active], cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True)
    assert dict(line.split("=") for line in shown.stdout.decode().splitlines()) == NO_TELEMETRY


def test_two_makes_at_once_in_a_new_clone_set_it_up_once(tmp_path: Path) -> None:
    """By a python and a uv that only write down when they begin and end."""
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    for part in PARTS:
        shutil.copy(ROOT / part, tmp_path)
    for tool in ("python", "uv"):
        (tools / tool).write_text("#!/bin/sh\necho begin >> asked\nsleep 0.2\necho end >> asked\n", encoding="utf-8")
        (tools / tool).chmod(0o755)
    command = ["make", f"PYTHON={shlex.quote(sys.executable)}", ".venv/ready"]
    both = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert (tmp_path / "asked").read_text(encoding="utf-8").split() == ["begin", "end"] * 3


def test_make_switches_off_what_the_stages_switch_off(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(f"include {ROOT}/Makefile\nshow:\n\t@env\n", encoding="utf-8")
    env = {"PATH": os.environ["PATH"]}
    shown = subprocess.run([*READY, "show"], cwd=tmp_path, env=env, capture_output=True, text=True).stdout
    assert NO_TELEMETRY.items() <= dict(re.findall(r"^(\w+)=(.*)$", shown, re.MULTILINE)).items()


@pytest.mark.slow
def test_make_ui_sends_nothing_home(spaced: Project, proxy: Proxy) -> None:
    with server(spaced, proxy) as url:
        for page in ("/", "/ajax-api/3.0/mlflow/ui-telemetry"):
            assert urllib3.request("GET", url + page, timeout=60, retries=False).status == 200
    proxy.wait_until_unused()
    assert proxy.asked == []


@contextmanager
def server(project: Project, proxy: Proxy) -> Iterator[str]:
    """What `make ui` starts, as long as the block lasts; its address."""
    port = free_port()
    environment = proxy.variables | {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    process = subprocess.Popen(
        [*READY, "ui", f"PORT={port}"], cwd=project.root, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the server ended by itself"
        try:
            return urllib3.request("GET", f"{url}/health", timeout=60, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        wait_for(answers, 300)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_stage_and_dvc_send_nothing_home(spaced: Project, proxy: Proxy) -> None:
    environment = proxy.variables | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["dvc", "repro", "train@shapes-unet-bce"]
    done = subprocess.run(command, cwd=spaced.root, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (spaced.root / "mlflow.db").is_file(), "MLflow was told"
    proxy.wait_until_unused()
    assert proxy.asked == []
