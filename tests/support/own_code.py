"""Code of one's own beside params.yaml, as users write it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

LOSSES = '''
import os
from os import system

import torch
from torch import nn

from losslab.losses.loss import Loss as Kind
from monai.losses import DiceLoss
from dataclasses import dataclass

path = os.path
made = nn.MSELoss()


class FocalPlus(nn.Module):
    def __init__(self, gamma: float = 2.0, plus=0.0):
        super().__init__()
        self.gamma, self.plus = gamma, plus

    def forward(self, logits, target):
        p = logits.sigmoid()
        right = p * target + (1 - p) * (1 - target)
        return (-((1 - right) ** self.gamma) * right.log()).mean() + self.plus * 0


class Needs(nn.Module):
    def __init__(self, weights, scale=1):
        super().__init__()

    def forward(self, logits, target):
        return (logits.sigmoid() - target).abs().mean()


def absolute(logits, target, scale=1.0):
    return scale * (logits.sigmoid() - target).abs().mean()


@dataclass(frozen=True, kw_only=True)
class Squared(Kind):
    """Squared error."""

    weight: float = 1.0

    def value(self, logits, target):
        return self.weight * (self.probabilities(logits) - target).square().mean()
'''

NETS = """
from torch import nn
from blocks import convolution


class Plain(nn.Module):
    def __init__(self, n_channels, n_classes, width=8):
        super().__init__()
        self.body = convolution(n_channels, width)
        self.head = nn.Conv2d(width, n_classes, 1)

    def forward(self, x):
        return self.head(self.body(x))
"""

BLOCKS = """
from torch import nn


def convolution(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())
"""

FILES = {"my_losses.py": LOSSES, "my_nets.py": NETS, "blocks.py": BLOCKS}


def write(folder: Path, allow: list[str], files: Mapping[str, str] = FILES) -> None:
    """Files and a pyproject.toml that allows some modules."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(f"[tool.losslab]\nallow = {allow!r}\n", encoding="utf-8")


@contextmanager
def beside_params(folder: Path, allow: list[str], files: Mapping[str, str] = FILES) -> Iterator[None]:
    """The process in a folder with such code; what it imports from there is forgotten in the end."""
    write(folder, allow, files)
    path, modules = sys.path.copy(), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
            del sys.modules[name]
