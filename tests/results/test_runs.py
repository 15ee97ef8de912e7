"""What identifies a run: all that changes its bits, and nothing else."""

import pytest
from projects import Project
from tracked import plan_again, planned

from losslab.results import paths, runs


@pytest.mark.parametrize(
    ("setting", "value", "same"), [("device_gb", 0.5, True), ("threads", 2, False), ("epochs", 7, False)]
)
def test_a_setting_makes_another_run_if_it_changes_its_bits(
    project: Project, monkeypatch: pytest.MonkeyPatch, setting: str, value: float, same: bool
) -> None:
    monkeypatch.chdir(project.root)
    folder = paths.TENSORS / "shapes"
    folder.mkdir(parents=True)
    for split in ("train", "val"):
        (folder / f"{split}.safetensors").write_text(split, encoding="utf-8")
    keys = []
    for changed in ({}, {setting: value}):
        project.set(lambda p, changed=changed: p["train"].update(changed))
        plan_again()
        keys.append([run.key for run in runs.of(planned())])
    assert (keys[0] == keys[1]) == same
