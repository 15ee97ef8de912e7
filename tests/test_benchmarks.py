"""`make bench` from the front door, with a piece that costs little: extraction, of no folder or of a few images.

And how `benchmarks/replay.py` holds the weights where a step has no gradient.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from coco_world import coco_file, write_set
from projects import ROOT
from torch import nn

from benchmarks import replay


def bench(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/speed.py", "--only", "extraction", "--out", str(out), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_table_says_what_was_not_measured_and_keeps_what_was_before(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    first = bench(out)
    assert first.returncode == 0, first.stderr
    assert "| extraction | not measured: it needs a folder in COCO's layout" in first.stdout

    figures = json.loads(out.read_text())
    row = {"what": "step", "unit": "s", "ours": 3.0, "baseline": "peer", "theirs": 2.0, "ratio": 1.5}
    figures["pieces"]["training"] = [
        {**row, "goal": {"of": "ratio", "sign": "≤", "bound": 1.1}},
        {**row, "goal": {"of": "ours", "sign": "≤", "bound": 5}},
        {**row, "goal": None},
    ]
    out.write_text(json.dumps(figures))
    second = bench(out).stdout
    start = "| step | 3 s | 2 s (peer) | 1.5 × |"
    assert [line for line in second.splitlines() if line.startswith("| step")] == [
        f"{start} ≤ 1.1 × | **no** |",
        f"{start} ≤ 5 s | yes |",
        f"{start} – | – |",
    ]
    assert json.loads(out.read_text()) == figures

    out.write_text(json.dumps(figures | {"machine": "another"}))
    assert "| step" not in bench(out).stdout


def test_extraction_is_measured_on_a_folder_in_the_layout_of_coco(tmp_path: Path) -> None:
    file = coco_file()
    for annotation in file["annotations"]:
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    folder = write_set(tmp_path / "coco", file, "train2017")
    result = bench(tmp_path / "figures.json", "--coco", str(folder), "--rounds", "1")
    assert "Traceback" not in result.stderr
    assert result.stdout.count("| extraction to 256×256, ") == 2


def test_hold_keeps_momentum_from_moving_weights_in_a_step_without_a_gradient() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    optimizer.register_step_pre_hook(replay.hold)
    values = []
    for gradient in (1.0, 0.0, 1.0):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        values.append(weight.item())
    # Velocities 1, none, 0.9 · 1 + 1.
    assert values == pytest.approx([0.9, 0.9, 0.71])
