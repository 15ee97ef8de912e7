"""Adding a loss takes its file and a line of `KINDS`: the contract battery then finds it by itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOY = '''
"""A toy."""

from dataclasses import dataclass

from torch import Tensor

from losslab.losses import Loss


@dataclass(frozen=True, kw_only=True)
class Toy(Loss):
    """Mean of the fourth power of the error."""

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return %s
'''


def battery(folder: Path, expression: str) -> subprocess.CompletedProcess[str]:
    """Run the battery for a loss `toy` in a copy of the project."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("loss_cases.py", "test_loss_contract.py"):
        shutil.copy(ROOT / "tests/losses" / name, folder)
    (folder / "src/losslab/losses/toy.py").write_text(TOY % expression)
    kinds_file = folder / "src/losslab/losses/__init__.py"
    kinds_file.write_text(kinds_file.read_text().replace("KINDS = {\n", 'KINDS = {\n    "toy": "toy:Toy",\n'))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "toy",
        "--rootdir",
        ".",
        ".",
    ]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_registered_loss_passes_the_battery(tmp_path: Path) -> None:
    done = battery(tmp_path, "(self.probabilities(logits) - target).square().square().mean()")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_registered_loss_that_breaks_the_contract_fails_the_battery(tmp_path: Path) -> None:
    done = battery(tmp_path, "(self.probabilities(logits) - target).log().mean()")
    assert done.returncode == 1
    for broken in (
        "test_it_is_never_negative[toy]",
        "test_value_and_gradient_are_finite_at_logits_of_100[toy]",
    ):
        assert broken in done.stdout
