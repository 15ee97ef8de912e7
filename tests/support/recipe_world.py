"""A recipe, run from end to end in this process, and every model that it leaves tried on a picture."""

from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from projects import new_project

from losslab.inference import predict
from losslab.results import paths


def replay(recipe: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every stage in a new project, which is then the working directory; its root."""
    new_project(root)
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    grid = recipe["grid"]
    stages = [("plan",), *product(("download", "extract"), grid["datasets"])]
    stages += product(("tune", "train", "evaluate"), grid["datasets"], grid["networks"], grid["losses"])
    for stage, *arguments in (*stages, ("compare",), ("report",)):
        monkeypatch.setattr("sys.argv", [stage, *arguments])
        import_module(f"pipeline.{stage}").main()
    assert (root / "results" / "report.html").is_file()
    Image.new("RGB", (90, 60), "teal").save("photo.png")
    for model in paths.TRAIN.rglob("seed*.safetensors"):
        masks = Path("masks", model.parent.relative_to(paths.TRAIN))
        predict.run(["photo.png"], model, masks)
        with Image.open(masks / "photo.mask.png") as mask:
            assert mask.size == (90, 60)
    return root
