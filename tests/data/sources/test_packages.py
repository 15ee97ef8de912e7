"""Packages from an index that cannot be reached, or gives something else."""

import os

from projects import Project


def test_an_unreachable_index_is_one_line_and_leaves_nothing(project: Project) -> None:
    assert project.stage("plan").returncode == 0
    closed = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    done = project.stage("download", "shapes", **closed)
    assert done.returncode == 1
    assert done.stderr.startswith("error: dlstudio==1.0.9: cannot be fetched from the package index")
    assert len(done.stderr.splitlines()) == 1
    assert list((project.root / "data/raw").iterdir()) == []


def test_a_wrong_checksum_is_one_line_and_leaves_nothing(project: Project) -> None:
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(sha256="0" * 64))
    assert project.stage("plan").returncode == 0
    done = project.stage("download", "shapes")
    assert done.returncode == 1
    assert done.stderr.startswith("error: dlstudio==1.0.9: ")
    assert len(done.stderr.splitlines()) == 1
    assert list((project.root / "data/raw").iterdir()) == []
