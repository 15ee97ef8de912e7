"""`losslab init` writes what a repository of one's own lacks, and nothing over what it has."""

import tomllib
from pathlib import Path

import pytest
import yaml

from losslab.errors import InputError
from losslab.settings import starting


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_empty_repository_gets_the_pipeline_its_settings_and_the_lists(root: Path) -> None:
    said = starting.start(root)
    files = content(root)
    assert {"pipeline/plan.py", "pipeline/train.py", "dvc.yaml", "params.yaml", ".dvc/plots/curves.json"} <= set(files)
    assert "pipeline/recipes.py" not in files
    assert {line.split(":")[0] for line in said} == set(files)
    assert tomllib.loads(files["pyproject.toml"].decode())["tool"]["losslab"]["allow"] == []
    assert "/results/*" in files[".gitignore"].decode().splitlines()
    assert "__pycache__" in files[".dvcignore"].decode().splitlines()


def test_no_stage_depends_on_what_only_a_clone_has(root: Path) -> None:
    starting.start(root)
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["plan"]["deps"] == ["pipeline", "pyproject.toml"]
    outputs = {next(iter(out)) if isinstance(out, dict) else out for s in stages.values() for out in s["outs"]}
    roots = {out.split("/$")[0] for out in outputs}
    for dependency in stages["report"]["deps"]:
        assert any(f"{out}/".startswith(f"{dependency}/") for out in [*roots, "results/plan/report.json"]), dependency


def test_what_is_there_is_kept_and_what_is_lacking_is_added_at_the_end(root: Path) -> None:
    (root / ".gitignore").write_text("*.log\n/mlartifacts/", encoding="utf-8")
    (root / "pyproject.toml").write_text('[project]\nname = "mine"\n', encoding="utf-8")
    (root / "mine.py").write_text("x = 1\n", encoding="utf-8")
    said = starting.start(root)
    lines = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["*.log", "/mlartifacts/"]
    assert lines.count("/mlartifacts/") == 1
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert (project["project"]["name"], project["tool"]["losslab"]["allow"]) == ("mine", [])
    assert "pyproject.toml: [tool.losslab] added" in said
    assert (root / "mine.py").read_text(encoding="utf-8") == "x = 1\n"


def test_a_list_that_is_there_stays(root: Path) -> None:
    text = '[tool.losslab]\nallow = ["mine"]\n'
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    starting.start(root)
    assert (root / "pyproject.toml").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "pipeline/plan.py"])
def test_nothing_is_written_where_a_file_is_in_the_way(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("mine\n", encoding="utf-8")
    before = content(root)
    with pytest.raises(InputError, match=f"^{name}: already here, and nothing is written over"):
        starting.start(root)
    assert content(root) == before


def test_a_second_time_is_refused(root: Path) -> None:
    starting.start(root)
    before = content(root)
    with pytest.raises(InputError, match="already here"):
        starting.start(root)
    assert content(root) == before


def test_without_dvc_it_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder \.dvc here; run `git init` and `dvc init` first"):
        starting.start(tmp_path)
    assert content(tmp_path) == {}


def test_a_project_file_that_is_damaged_is_named(root: Path) -> None:
    (root / "pyproject.toml").write_text("[project\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^pyproject\.toml: not TOML"):
        starting.start(root)
