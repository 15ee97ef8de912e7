"""docs/your-own.md, followed to the letter with losslab installed from its wheel, ends in a report."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT, edit, tiny

PAGE = (ROOT / "docs/your-own.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str = "") -> list[str]:
    """The fenced blocks of a language in a section of the page."""
    section = re.split(r"^## ", PAGE.split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    fences = re.findall(r"^```(\w*)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [block for name, block in fences if name == language]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of losslab's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


def shell(root: Path, installed: Path, command: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    env |= {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}", "PYTHONPATH": str(installed)}
    env |= {"LOSSLAB_MLFLOW": "off", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, shell=True, cwd=root, env=env, capture_output=True, text=True, timeout=1500)


def run(root: Path, installed: Path, command: str) -> str:
    done = shell(root, installed, command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def merge(into: dict[str, Any], entries: dict[str, Any]) -> None:
    for key, value in entries.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key != "grid":
            merge(into[key], value)
        else:
            into[key] = value


def test_the_wheel_has_what_init_writes_and_it_is_losslab_s_own(installed: Path) -> None:
    carried = installed / "losslab/project"
    for path in [*ROOT.glob("pipeline/*.py"), *ROOT.glob(".dvc/plots/*.json"), *map(ROOT.joinpath, ("dvc.yaml",))]:
        assert (carried / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert not list(installed.rglob("*.pyc"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_ends_in_a_report(tmp_path: Path, installed: Path, shapes: Path) -> None:
    [start] = blocks("A repository")
    for command in start.splitlines():
        run(tmp_path, installed, command)
    for heading in ("A loss", "A network"):
        (tmp_path / re.search(r"`(my_\w+\.py)`:", PAGE.split(f"## {heading}\n")[1])[1]).write_text(
            blocks(heading, "python")[0], encoding="utf-8"
        )

    settings = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
    tiny(settings)
    merge(settings, yaml.safe_load(blocks("The comparison", "yaml")[0]))
    settings["datasets"]["shapes"]["download"]["source"] = str(shapes)
    settings["train"]["epochs"] = 1
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    check, repro = blocks("The comparison")[0].splitlines()

    said = shell(tmp_path, installed, repro)
    assert "error: params.yaml: networks.my_net.kind: 'my_net:MyNet' is not allowed to run" in said.stderr + said.stdout
    [allow] = blocks("What may run", "toml")
    edit(tmp_path / "pyproject.toml", "[tool.losslab]\nallow = []\n", allow)
    said = shell(tmp_path, installed, repro)
    assert "error: dvc.yaml: an edit of my_losses.py, my_net.py would not be noticed" in said.stderr + said.stdout
    [deps] = blocks("What may run", "yaml")
    edit(tmp_path / "dvc.yaml", "    deps:\n", deps)

    examined = run(tmp_path, installed, check)
    assert {"losses.focal_plus:", "losses.monai_dice_focal:"} <= set(examined.split())
    assert "\n  wrong " not in examined
    run(tmp_path, installed, repro)
    report = (tmp_path / "results/report.html").read_text(encoding="utf-8")
    for name in ("focal_plus", "monai_dice_focal", "my_net", "smp_unet", "segmentation-models-pytorch", "monai"):
        assert name in report
    assert run(tmp_path, installed, "dvc status").strip().endswith("up to date.")

    edit(tmp_path / "my_losses.py", "** self.gamma * entropy", "** self.gamma * 2 * entropy")
    ran = re.findall(r"Running stage '([\w@-]+)'", run(tmp_path, installed, repro))
    assert set(ran) == {"plan", "compare", "report"} | {
        f"{stage}@shapes-{network}-focal_plus" for stage in ("train", "evaluate") for network in ("my_net", "smp_unet")
    }


def test_the_script_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [script] = blocks("In your own training script", "python")
    exec(script, {})
    assert 0 <= float(capsys.readouterr().out) <= 1


@pytest.mark.parametrize("heading", ["Pretrained weights", "A rate of its own"])
def test_the_entries_of_the_page_are_right(heading: str) -> None:
    from losslab import losses, networks
    from losslab.settings.params import Params

    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    entries = yaml.safe_load(blocks(heading, "yaml")[0])
    merge(settings, entries)
    Params.model_validate(settings)
    for name in entries.get("networks", {}):
        assert networks.registry.complete(settings["networks"][name])["pretrained"]["match"] == "order"
    for name in entries.get("losses", {}):
        assert losses.registry.complete(settings["losses"][name])["train"]["lr"] == 0.01
