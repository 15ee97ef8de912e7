"""What a machine cannot do is said before anything is computed."""

import os

import pytest
import yaml
from projects import ROOT

from losslab.errors import InputError
from losslab.inference import devices
from losslab.settings.params import Train

SETTINGS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train"]


def test_more_threads_than_a_machine_can_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(InputError, match=r"^params.yaml: train.threads: 1024, and this machine can run 16 at most$"):
        devices.prepare(Train.model_validate(SETTINGS | {"threads": 1024}))
