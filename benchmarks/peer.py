"""DLStudio, the peer: its own classes, from the folder that `make bench` installs it into."""

import contextlib
import io
import sys
import types
from pathlib import Path
from typing import Any

from timing import ROOT, Skipped

FOLDER = ROOT / ".peer"
RAW = ROOT / "data/raw/shapes"
TRAIN, TEST = (RAW / f"PurdueShapes5MultiObject-{name}.gz" for name in ("10000-train", "1000-test"))
QUIET = contextlib.redirect_stdout(io.StringIO())  # it chats


def dlstudio() -> Any:
    """The class DLStudio, imported with an empty module in place of the message boxes that it asks for."""
    if not FOLDER.is_dir():
        raise Skipped("DLStudio is not in .peer; `make bench` installs it")
    if not TRAIN.is_file():
        raise Skipped("data/raw/shapes is empty; run `dvc repro extract`")
    sys.path.insert(0, str(FOLDER))
    sys.modules["pymsgbox"] = types.ModuleType("pymsgbox")
    import DLStudio

    return DLStudio.DLStudio


def segmenter(peer: Any, batch_size: int) -> Any:
    """Its set-up for segmentation, with the test file as what it trains on: a tenth of the other, as quickly read."""
    studio = peer(
        image_size=[64, 64],
        dataroot=f"{RAW}/",
        path_saved_model="model",
        learning_rate=1e-4,
        momentum=0.9,
        epochs=1,
        batch_size=batch_size,
    )
    found = peer.SemanticSegmentation(studio, max_num_objects=5)
    data = dataset(peer, TEST)
    found.load_PurdueShapes5MultiObject_dataset(data, data)
    return found


def dataset(peer: Any, file: Path) -> Any:
    """Its data set from a file of any name but that of its training file, of which it would save a second copy."""
    options = types.SimpleNamespace(dataroot=f"{file.parent}/", image_size=[64, 64])
    segmentation = peer.SemanticSegmentation
    with QUIET:
        return segmentation.PurdueShapes5MultiObjectDataset(
            options, types.SimpleNamespace(max_num_objects=5), "train", file.name
        )
