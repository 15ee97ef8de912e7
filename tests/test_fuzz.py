"""Damaged and hostile files of every format: read, or refused in one line, within bounds of memory.

A good file is changed in a few places: bytes flipped, cut out, doubled, or replaced by what parsers trip over. `make
fuzz` tries 10,000 of each, `make test` some.
"""

import contextlib
import gzip
import io
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from coco_world import coco_file, dataset, write_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mask_world import palette_image, photo, shape
from projects import ROOT
from yolo_world import write as write_yolo

from losslab import data, networks
from losslab.errors import InputError
from losslab.inference import model_file
from losslab.settings import params

MEMORY = 3 << 30
"""Bytes that reading a file may take beside what the process has."""
TOKENS = (
    b"\x00",
    b"\xff",
    b"\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"- ",
    b": ",
    b"&a ",
    b"*a",
    b"!!python/object:os.system",
)
TOKENS += (b"1e999", b"NaN", b"-1", b"0", b"9" * 30, b"\x80\x04", b"\xef\xbb\xbf", "山".encode())
mended = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
changes = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "double", "token", "end")),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 64),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=4,
)


def changed(content: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    """`content` after some edits, each a kind, a place as a share of the length, a size and a token."""
    result = bytearray(content)
    for kind, place, size, token in edits:
        at = int(place * len(result))
        if kind == "flip" and result:
            result[at] ^= 1 << size % 8
        elif kind == "cut":
            del result[at : at + size]
        elif kind == "double":
            result[at:at] = result[at : at + size] * (size % 5 + 1)
        elif kind == "token":
            result[at : at + size % 4] = token
        elif kind == "end":
            del result[at:]
    return bytes(result)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """A reader that asks for more than `MEMORY` raises MemoryError, which is no InputError."""
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    bounds = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, bounds[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, bounds)


def refusal(read: Callable[[], object]) -> list[str]:
    """The lines of the error that reading raises for its user; none if it is read. Raises whatever else it raises."""
    try:
        read()
    except InputError as error:
        return str(error).splitlines() or [""]
    return ["read"]


def extracted(made: data.Dataset) -> None:
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        raw, out = Path(work, "raw"), Path(work, "out")
        raw.mkdir()
        out.mkdir()
        made.fetch(raw)
        made.write_tensors(raw, out)


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("coco"), coco_file())


@mended
@given(edits=changes)
def test_coco(
    coco: Path, tmp_path: Path, edits: list[tuple[str, float, int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("annotations/instances_all.json")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(changed((coco / file).read_bytes(), edits))
    assert len(refusal(lambda: extracted(dataset(coco, annotations=str(tmp_path))))) == 1


@pytest.fixture(scope="module")
def label_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    for index in range(6):
        photo(index).save(folder / f"{index}.jpg")
        palette_image(shape(index), (0, 0, 0), (128, 0, 0)).save(folder / f"{index}.png")
    return folder


@mended
@given(edits=changes, which=st.sampled_from(("0.jpg", "0.png")))
def test_images_and_masks(label_maps: Path, edits: list[tuple[str, float, int, bytes]], which: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = shutil.copytree(label_maps, Path(work, "maps"))
        (folder / which).write_bytes(changed((folder / which).read_bytes(), edits))
        names = {"image_names": "{id}.jpg", "mask_names": "{id}.png", "val_share": 0.3, "test_share": 0.3}
        download = {"images": str(folder), "masks": str(folder)} | names
        extract = {"image_size": 16, "classes": {"thing": 1}, "background": [0], "workers": 1, "max_unreadable": 6}
        made = data.registry.build({"kind": "mask_folder", "download": download, "extract": extract})
        assert len(refusal(lambda: extracted(made))) == 1


@pytest.fixture(scope="module")
def yolo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yolo(tmp_path_factory.mktemp("yolo"), {"train": 2, "val": 1, "test": 1})


@mended
@given(edits=changes, which=st.sampled_from(("data.yaml", "labels/train/000.txt")))
def test_yolo(yolo: Path, edits: list[tuple[str, float, int, bytes]], which: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = shutil.copytree(yolo, Path(work, "set"))
        (folder / which).write_bytes(changed((folder / which).read_bytes(), edits))
        extract = {"image_size": 16, "workers": 1, "max_unreadable": 4}
        made = data.registry.build({"kind": "yolo", "download": {"source": str(folder)}, "extract": extract})
        assert len(refusal(lambda: extracted(made))) == 1


@mended
@given(edits=changes)
def test_params(tmp_path: Path, edits: list[tuple[str, float, int, bytes]]) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(changed((ROOT / "params.yaml").read_bytes(), edits))
    # A line for each setting that is wrong.
    assert all(line == "read" or "params.yaml: " in line for line in refusal(lambda: params.load(path=file)))


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    network = networks.build("unet", classes=2, width=2, levels=2)
    metadata = {
        "network": {"kind": "unet", "width": 2, "levels": 2},
        "loss": {"kind": "cross_entropy"},
        "classes": ["cat", "dog"],
        "mean": [1.0, 2.0, 3.0],
        "std": [4.0, 5.0, 6.0],
        "threshold": 0.25,
    }
    with tempfile.TemporaryDirectory() as work:
        model_file.save(Path(work, "model"), network.state_dict(), metadata)
        return Path(work, "model").read_bytes()


@mended
@given(edits=changes, header=st.booleans())
def test_model_files(model: bytes, tmp_path: Path, edits: list[tuple[str, float, int, bytes]], header: bool) -> None:
    length = 8 + int.from_bytes(model[:8], "little")
    if header:  # its text changed, and its length told as it is then: else the length gives every change away
        text = changed(model[8:length], edits)
        content = len(text).to_bytes(8, "little") + text + model[length:]
    else:
        content = changed(model, edits)
    (tmp_path / "model").write_bytes(content)
    assert len(refusal(lambda: model_file.load(tmp_path / "model", torch.device("cpu")))) == 1


@mended
@given(edits=changes, packed=st.booleans())
def test_pickles(shapes: Path, edits: list[tuple[str, float, int, bytes]], packed: bool) -> None:
    names = {part: f"PurdueShapes5MultiObject-20-{part}.gz" for part in ("train", "test")}
    with tempfile.TemporaryDirectory() as work:
        source = Path(work)
        shutil.copy(shapes / names["test"], source)
        content = (shapes / names["train"]).read_bytes()
        if packed:
            content = changed(content, edits)
        else:
            content = gzip.compress(changed(gzip.decompress(content), edits), compresslevel=0)
        (source / names["train"]).write_bytes(content)
        download = {"source": work, "train_file": names["train"], "test_file": names["test"]}
        extract = {"train_images": 2, "val_images": 2, "test_images": 2}
        made = data.registry.build({"kind": "purdue_shapes", "download": download, "extract": extract})
        assert len(refusal(lambda: extracted(made))) == 1
