"""A network that starts from pretrained weights beside the same from scratch, from `dvc repro` to the report."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from projects import ROOT, edit, new_repository

from losslab import networks
from losslab.inference import model_file

COCO = ROOT.parent / "shared" / "coco_mini"
OPTIONS = {"kind": "unet", "width": 4, "levels": 2}


def test_weights_are_fetched_once_and_trained_from(tmp_path: Path, shapes: Path, commands: Path) -> None:
    project = new_repository(tmp_path / "project", commands)
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


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_encoder_of_another_library_is_compared_with_the_same_from_scratch_on_photographs(tmp_path: Path) -> None:
    if not COCO.is_dir():
        pytest.skip(f"{COCO} is not here")
    page = (ROOT / "docs/your-own.md").read_text(encoding="utf-8").split("## Pretrained weights\n")[1]
    entries = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    tuned = entries["networks"]["fine_tuned"]

    def change(params: dict[str, Any]) -> None:
        source = {"annotations": str(COCO), "images": str(COCO), "train": "train2017", "val": "val2017"}
        wanted = {"test_share": 0.25, "classes": ["person"], "instances": "all", "min_box": 40, "seed": 0}
        extract = {"image_size": 64, "planes": "binary", "workers": 1}
        params["datasets"] = {"photos": {"kind": "coco", "download": source | wanted, "extract": extract}}
        scratch = {key: value for key, value in tuned.items() if key != "pretrained"}
        params["networks"] = {"scratch": scratch, "fine_tuned": tuned}
        params["grid"] = {"datasets": ["photos"], "networks": ["scratch", "fine_tuned"], "losses": ["bce"]}
        params["train"] |= entries["train"] | {"epochs": 2}

    project = new_repository(tmp_path / "project")
    project.set(change)
    project.repro()
    fetched = json.loads((project.root / "data/weights/fine_tuned/source.json").read_text(encoding="utf-8"))
    assert fetched["source"] == tuned["pretrained"]["source"]
    report = (project.root / "results/report.html").read_text(encoding="utf-8")
    assert "photos, scratch" in report
    assert "photos, fine_tuned" in report
    mean = model_file.load(
        project.root / "results/train/photos/fine_tuned/bce/seed0.safetensors", torch.device("cpu")
    ).normalise.mean
    assert mean == (127.5,) * 3
