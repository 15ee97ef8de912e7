"""losslab in a script of one's own: neither DVC nor MLflow is needed, nor what else the pipeline is made of."""

import doctest
import subprocess
import sys

import pytest
import torch

import losslab
from losslab.evaluation import scoring as metrics

BLOCKED = ("dvc", "mlflow", "matplotlib", "PIL", "jinja2", "urllib3", "tqdm", "msgspec", "torchvision",
           "scipy", "psutil", "pycocotools", "pipeline")  # fmt: skip

OF_EXCLUSIVE_CLASSES = {"miou_foreground", "dice_foreground"}
EXTRA = {"cl_dice", "component_recall", "component_precision", "betti_0", "betti_1", "ece", "brier"}

SCRIPT = f"""
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
import torch

from losslab import losses, metrics, networks

network = networks.build("unet", classes=2, width=4, levels=2)
loss = losses.build("sum", terms=[{{"loss": {{"kind": "bce"}}}}, {{"loss": {{"kind": "dice"}}}}])
images, masks = torch.randn(2, 3, 16, 16), (torch.rand(2, 2, 16, 16) > 0.5).float()
logits = network(images)
loss(logits, masks).backward()
print(sorted(metrics.of_masks(loss.probabilities(logits) >= 0.5, masks)))
assert not set(sys.modules) & set({BLOCKED!r})
"""


def test_a_script_trains_and_scores_without_dvc_and_mlflow() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted(metrics.METRICS.keys() - OF_EXCLUSIVE_CLASSES - EXTRA))


def test_metrics_are_at_the_front() -> None:
    assert losslab.metrics is metrics
    with pytest.raises(AttributeError, match="module 'losslab' has no attribute 'metric'"):
        _ = losslab.metric


def test_the_example_of_masks_is_true() -> None:
    done = doctest.testmod(metrics)
    assert done.attempted > 0
    assert done.failed == 0


def test_metrics_of_masks_are_those_of_the_leaderboard() -> None:
    predicted, target = torch.zeros(2, 3, 2, 8, 8)
    predicted[:, :, 2:6, 2:6] = 1
    target[:, :, 2:6, 3:7] = 1
    values = metrics.of_masks(predicted.bool(), target)
    assert values["miou"] == pytest.approx(12 / 20)
    assert values["dice"] == pytest.approx(24 / 32)
    assert values["boundary_f"] == 1
    assert values["hd95"] == 1
