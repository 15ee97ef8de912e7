"""Adding a loss takes its file and a line of `KINDS`: the contract's tests then find it by themselves.

That it then trains, and stands in the report and in MLflow, is in tests/pipeline.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from projects import ROOT, add_readme_loss

CONTRACT = "tests/losses/test_loss_contract.py"

BROKEN = """
from dataclasses import dataclass

from torch import Tensor

from losslab.losses import Loss


@dataclass(frozen=True, kw_only=True)
class Broken(Loss):
    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return (self.probabilities(logits) - target).log().mean()
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
    """(outcome, test, kind) of the README's loss and of a broken one, in a copy of the project."""
    folder = tmp_path_factory.mktemp("new_loss")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (CONTRACT, "tests/support/loss_cases.py"):
        shutil.copy(ROOT / path, folder)
    add_readme_loss(folder)
    (folder / "src/losslab/losses/broken.py").write_text(BROKEN, encoding="utf-8")
    kinds = folder / "src/losslab/losses/__init__.py"
    text = kinds.read_text(encoding="utf-8")
    kinds.write_text(text.replace("KINDS = {\n", 'KINDS = {\n    "broken": "broken:Broken",\n'), encoding="utf-8")
    command = ["-m", "pytest", "-rA", "-p", "no:cacheprovider", "--rootdir", ".", "-k"]
    done = subprocess.run(
        [sys.executable, *command, "my_loss or broken", "."],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return set(re.findall(r"^(PASSED|FAILED|ERROR) .*::(\w+)\[(?:\d-)?(\w+)\]", done.stdout, re.MULTILINE))


def test_the_loss_that_the_readme_adds_passes_all_of_them(outcomes: set[tuple[str, str, str]]) -> None:
    passed = {test for outcome, test, kind in outcomes if kind == "my_loss" and outcome == "PASSED"}
    assert passed == {test for _, test, kind in outcomes if kind == "my_loss"}
    every = set(re.findall(r"^def (test_\w+)", (ROOT / CONTRACT).read_text(encoding="utf-8"), re.MULTILINE))
    assert every - passed <= {
        "test_cpu_and_cuda_agree",
        "test_reduced_by_sample_it_is_the_mean_of_single_images",
        "test_reduced_by_batch_it_takes_all_images_for_one",
        "test_maps_given_and_maps_made_on_the_fly_are_the_same",
        "test_options_out_of_range_raise_and_name_the_option",
    }, "needs a GPU, or has no option, no `reduce`, no maps"


def test_a_loss_that_breaks_the_contract_fails(outcomes: set[tuple[str, str, str]]) -> None:
    failed = {test for outcome, test, kind in outcomes if kind == "broken" and outcome == "FAILED"}
    assert failed >= {"test_it_is_never_negative", "test_value_and_gradient_are_finite_at_logits_of_100"}
