"""What tests share: the 20-image files of the real data set, and a small DVC project."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm
import yaml
from hypothesis import settings
from projects import ROOT, Project, new_project

from losslab.data.sources.packages import fetch_package

settings.register_profile("fuzz", max_examples=10_000, deadline=None)

# What a shell starts in the background ignores Ctrl-C, and so do its children: tests that send it would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of data files in the package that the default params name."""
    folder = tmp_path_factory.mktemp("dlstudio")
    options = yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"]["shapes"]["download"]
    archive = fetch_package(options["source"], folder, options["sha256"])
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return next(folder.rglob("PurdueShapes5MultiObject-20-train.gz")).parent


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of `python` and `dvc` that start with the large libraries imported."""
    with warm.commands(tmp_path_factory.mktemp("warm")) as folder:
        yield folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project with nothing run."""
    return new_project(tmp_path)
