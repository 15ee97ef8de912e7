"""Code of one's own and of libraries, named by `module:Class`: edits of it re-run what uses it, and nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import own_code
import pytest
import yaml
from projects import ROOT, Project, edit, new_project, new_repository

from losslab import data, losses, networks
from losslab.errors import InputError
from losslab.settings import params
from losslab.settings.plans import ReportPlan, TrainPlan
from pipeline import libraries, plan
from pipeline.fingerprints import Project as Code

ALLOW = ["my_losses", "nets.mine", "torchvision.ops"]
FILES = {
    "my_losses.py": own_code.LOSSES,
    "nets/mine.py": own_code.NETS.replace("from blocks", "from nets.blocks"),
    "nets/blocks.py": own_code.BLOCKS,
    "other.py": "x = 1\n",
}
ENTRIES = {
    "losses": {
        "focal_plus": {"kind": "my_losses:FocalPlus", "options": {"gamma": 1.0}},
        "torchvision_focal": {"kind": "torchvision.ops:sigmoid_focal_loss", "options": {"reduction": "mean"}},
        "bce": {"kind": "bce"},
    },
    "networks": {"mine": {"kind": "nets.mine:Plain"}, "unet": {"kind": "unet"}},
}


def add_own_code(project: Project) -> None:
    own_code.write(project.root, ALLOW, FILES)

    def change(settings: dict[str, Any]) -> None:
        for axis, entries in ENTRIES.items():
            settings[axis] |= entries
            settings["grid"][axis] = list(entries)

    project.set(change)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("own")
    project = new_project(folder)
    add_own_code(project)
    with own_code.beside_params(folder, ALLOW, FILES):
        yield folder


def planned() -> dict[str, str]:
    registries = {"datasets": data.registry, "networks": networks.registry, "losses": losses.registry}
    plans = plan.plans(params.load(registries), Code([ROOT / "src", ROOT, Path()]))
    return {str(path.relative_to(plan.FOLDER).with_suffix("")): made.text() for path, made in plans.items()}


def changed(before: dict[str, str]) -> set[str]:
    return {name for name, text in planned().items() if before[name] != text}


def cells(network: str = "*", loss: str = "*") -> set[str]:
    grid = [(n, o) for n in ENTRIES["networks"] for o in ENTRIES["losses"] if network in ("*", n) and loss in ("*", o)]
    return {f"{stage}/shapes/{n}/{o}" for stage in ("train", "evaluate") for n, o in grid} | {"report"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("my_losses.py", "import os\n", "import os  # a word\n", set()),
        ("my_losses.py", "self.plus * 0", "self.plus * 1", cells(loss="focal_plus")),
        ("nets/mine.py", "padding=1", "padding=1", set()),
        ("nets/mine.py", "n_classes, 1)", "n_classes, 1, bias=False)", cells(network="mine")),
        ("nets/blocks.py", "nn.ReLU()", "nn.SiLU()", cells(network="mine")),
        ("other.py", "1", "2", set()),
    ],
)
def test_an_edit_reruns_what_reaches_it(root: Path, file: str, old: str, new: str, expected: set[str]) -> None:
    before, text = planned(), (root / file).read_text(encoding="utf-8")
    try:
        if old in text:
            edit(root / file, old, new)
        assert changed(before) == expected
    finally:
        (root / file).write_text(text, encoding="utf-8")


def test_another_version_of_a_library_reruns_what_names_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned()
    of = libraries._of_distribution
    monkeypatch.setattr(libraries, "_of_distribution", lambda name, module: f"{of(name, module)}, another")
    # My own losses import MONAI.
    assert changed(before) == cells(loss="torchvision_focal") | cells(loss="focal_plus")


def test_the_plan_says_which_libraries_a_cell_uses(root: Path) -> None:
    plans = planned()

    def used(loss: str) -> dict[str, str]:
        return TrainPlan.model_validate_json(plans[f"train/shapes/unet/{loss}"]).libraries

    def version(name: str) -> str:
        return __import__(name).__version__.split("+")[0]

    numeric = {name: version(name) for name in ("numpy", "torch")}
    assert used("bce") == numeric
    assert used("focal_plus").keys() == {"monai", *numeric}
    assert used("torchvision_focal").keys() == {"torchvision", *numeric}
    assert used("torchvision_focal")["torchvision"].startswith(f"{version('torchvision')}, sha256")
    assert ReportPlan.model_validate_json(plans["report"]).train_libraries.keys() == {"monai", "torchvision", *numeric}


def test_code_whose_edits_dvc_would_not_notice_is_refused(root: Path) -> None:
    registries = {"datasets": data.registry, "networks": networks.registry, "losses": losses.registry}
    settings, code = params.load(registries), Code([ROOT / "src", ROOT, Path()])
    message = r"^dvc\.yaml: an edit of my_losses\.py, nets/blocks\.py, nets/mine\.py would not be noticed; add it to"
    with pytest.raises(InputError, match=message):
        plan.see_every_edit(settings, code)
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    try:
        edit(Path("dvc.yaml"), "      - pyproject.toml\n", "      - pyproject.toml\n      - nets\n")
        with pytest.raises(InputError, match=r"an edit of my_losses\.py would not be noticed"):
            plan.see_every_edit(settings, code)
        edit(Path("dvc.yaml"), "      - nets\n", "      - nets\n      - my_losses.py\n")
        plan.see_every_edit(settings, code)
    finally:
        Path("dvc.yaml").write_text(text, encoding="utf-8")


def test_dvc_notices_an_edit_of_one_s_own_code_and_of_the_list(tmp_path: Path, commands: Path) -> None:
    project = new_repository(tmp_path, commands)
    add_own_code(project)
    edit(
        tmp_path / "dvc.yaml",
        "      - pyproject.toml\n",
        "      - pyproject.toml\n      - nets\n      - my_losses.py\n",
    )
    assert project.repro("plan") == ["plan"]
    assert project.repro("plan") == []
    file = tmp_path / "results/plan/train/shapes/unet/focal_plus.json"
    before = file.read_text(encoding="utf-8")
    edit(tmp_path / "my_losses.py", "self.plus * 0", "self.plus * 1")
    assert project.repro("plan") == ["plan"]
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["code"] != yaml.safe_load(before)["code"]
    own_code.write(tmp_path, [], {})
    done = project.run("dvc", "repro", "plan")
    assert done.returncode
    assert (
        "error: params.yaml: networks.mine.kind: 'nets.mine:Plain' is not allowed to run" in done.stdout + done.stderr
    )
