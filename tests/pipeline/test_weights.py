"""A network that starts from pretrained weights beside the same from scratch, from `dvc repro` to the report."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from projects import edit, new_repository

from losslab import networks
from losslab.inference import model_file

OPTIONS = {"kind": "unet", "width": 4, "levels": 2}


def test_weights_are_fetched_once_and_trained_from(tmp_path: Path, shapes: Path) -> None:
    project = new_repository(tmp_path / "project")
    torch.manual_seed(5)
    source = networks.build(in_channels=3, classes=5, **OPTIONS)
    file = tmp_path / "source.pth"
    torch.save(source.encoder.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    def change(params: dict[str, Any]) -> None:
        params["datasets"]["shapes"]["download"]["source"] = str(shapes)
        tuned = OPTIONS | {"pretrained": {"source": str(file), "sha256": digest}}
        params["networks"] = {"scratch": OPTIONS, "tuned": tuned}
        params["grid"] |= {"networks": ["scratch", "tuned"], "losses": ["bce"]}
        params["train"] |= {"freeze": 2, "epochs": 2, "keep": "last"}

    project.set(change)
    ran = project.repro()
    assert {"weights@scratch", "weights@tuned"} <= set(ran)
    assert json.loads((project.root / "data/weights/scratch/source.json").read_text(encoding="utf-8")) is None
    assert not (project.root / "data/weights/scratch/weights.safetensors").exists()

    models = {
        name: model_file.load(project.root / f"results/train/shapes/{name}/bce/seed0.safetensors", torch.device("cpu"))
        for name in ("scratch", "tuned")
    }
    # Frozen to the end, so the encoder is the file's; the one that starts at random is never frozen.
    assert torch.equal(models["tuned"].network.encoder[0][0].weight, source.encoder[0][0].weight)
    torch.manual_seed(0)
    start = networks.build(in_channels=3, classes=5, **OPTIONS)
    assert not torch.equal(models["scratch"].network.encoder[0][0].weight, start.encoder[0][0].weight)
    assert models["tuned"].normalise.mean != models["scratch"].normalise.mean
    page = (project.root / "results/report.html").read_text(encoding="utf-8")
    assert "scratch" in page
    assert "tuned" in page

    assert project.repro() == []
    project.set(lambda p: p["train"].update(freeze=1))
    ran = project.repro()
    # The one from scratch is restored: its plan is the same, and so is its model.
    assert {stage for stage in ran if stage.startswith("evaluate")} == {"evaluate@shapes-tuned-bce"}
    assert not any(stage.startswith("weights") for stage in ran)

    edit(project.root / "params.yaml", digest, "a" * 64)
    done = project.run("dvc", "repro")
    assert done.returncode
    assert f"error: {file}: sha256 is {digest}, not aaaa" in done.stdout + done.stderr
