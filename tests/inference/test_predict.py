"""`losslab predict` on real files: sizes, formats, several models, and everything that can be wrong."""

import io
import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coco_world import serve
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors import safe_open

from losslab import networks
from losslab.data.photos import ORIENTATION, read_image
from losslab.data.tensors import Frame
from losslab.inference import model_file
from losslab.inference.output_names import class_words, find_images
from losslab.inference.predict import fitted

Predict = Callable[..., tuple[int, str]]
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


def save_model(
    path: Path, classes: list[str], size: tuple[int, int] = (16, 24), threshold: float = 0.5, **more: Any
) -> Path:
    """A network that finds the first of red, green and blue, as many as there are classes."""
    metadata = {
        "network": {"kind": "unet", "width": 3, "levels": 1, "norm": "none"},
        "loss": {"kind": "bce"},
        "classes": classes,
        "image_size": list(size),
        "mean": [127.5] * 3,
        "std": [127.5] * 3,
        "threshold": threshold,
        "train": {"precision": "float32"},
        **more,
    }
    network = networks.build("unet", classes=len(classes), width=3, levels=1, norm="none")
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name in state:
        if name.startswith("encoder") and name.endswith("weight"):
            state[name][range(3), range(3), 1, 1] = 1  # ReLU keeps what is brighter than the middle
    for index in range(len(classes)):
        state["head.weight"][index, index] = 20
    state["head.bias"] -= 10
    path.parent.mkdir(parents=True, exist_ok=True)
    model_file.save(path, state, metadata)
    return path


def stripes(width: int, height: int, *names: str) -> Image.Image:
    """Stripes of equal width, from left to right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, len(names) + 1).round().astype(int)
    for left, right, name in zip(edges, edges[1:], names, strict=False):
        pixels[:, left:right] = COLOURS.get(name, (0, 0, 0))
    return Image.fromarray(pixels)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "train/shapes/unet/bce/seed0.safetensors", ["red", "green", "blue"])


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Runs the command in `tmp_path`; exit status and what it wrote on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["losslab", "predict", *map(str, arguments)])
        status: Any = 0
        try:
            runpy.run_module("losslab", run_name="__main__")
        except SystemExit as exit:
            status = exit.code
        shown = capsys.readouterr().err + (status if isinstance(status, str) else "")
        return (1 if isinstance(status, str) else status or 0), shown

    return run


def values(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("size", [(24, 16), (120, 61), (7, 5), (301, 200)])
def test_a_mask_has_the_size_of_its_image(predict: Predict, model: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    stripes(*size, "red", "none", "blue").save(tmp_path / "a.png")
    assert predict("a.png", "--model", model, "--out", "out") == (0, "")
    mask, overlay = Image.open(tmp_path / "out/a.mask.png"), Image.open(tmp_path / "out/a.overlay.png")
    assert mask.size == overlay.size == size
    row = np.asarray(mask)[size[1] // 2]
    assert (row[0], row[size[0] // 2], row[-1]) == (1, 0, 3), "the number of the class, from 1; 0 for none"


@pytest.mark.parametrize("padded", [False, True])
def test_what_is_predicted_beyond_a_photograph_is_not_in_its_mask(
    predict: Predict, tmp_path: Path, padded: bool
) -> None:
    model = save_model(tmp_path / "m.safetensors", ["red", "green", "blue"], (48, 48), padded=padded)
    tall = stripes(60, 240, "red", "green", "green", "blue")
    tall.save(tmp_path / "tall.png")
    tall.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "wide.png")
    assert predict("wide.png", "tall.png", "--model", model, "--out", "out") == (0, "")
    for name, turns in (("tall", 0), ("wide", -1)):
        mask = np.rot90(values(tmp_path / "out" / f"{name}.mask.png"), turns)
        assert mask.shape == (240, 60)
        for row in (0, 120, 239):
            assert [mask[row, column] for column in (0, 9, 21, 38, 50, 59)] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("first", ["background", "red"])
def test_where_classes_exclude_each_other_a_pixel_is_of_the_most_probable(
    predict: Predict, tmp_path: Path, first: str
) -> None:
    # The class `background` is where it is red: it has no number, no colour and no plane.
    model = save_model(tmp_path / "m.safetensors", [first, "green", "blue"], threshold=0.999, exclusive=True)
    stripes(240, 160, "red", "green", "blue").save(tmp_path / "a.png")
    assert predict("a.png", "--model", model, "--out", "out", "--planes", "--coco", "m.json") == (0, "")
    mask = values(tmp_path / "out/a.mask.png")
    numbers = [0, 1, 2] if first == "background" else [1, 2, 3]
    assert [mask[80, column] for column in (20, 120, 220)] == numbers
    assert np.unique(mask).tolist() == numbers, "no pixel is left without a class"
    planes = {path.name: values(path) == 255 for path in (tmp_path / "out").glob("a.*.png") if "mask" not in path.name}
    del planes["a.overlay.png"]
    assert planes.keys() == {
        f"a.{name}.png" for name in ("red", "green", "blue") if (name, first) != ("red", "background")
    }
    assert (sum(plane.astype(int) for plane in planes.values()) == (mask > 0)).all()
    results = json.loads((tmp_path / "m.json").read_text())
    assert [entry["category_id"] for entry in results] == [number for number in numbers if number]
    status, shown = predict("a.png", "--model", model, "--out", "out", "--threshold", "0.5")
    assert (status, len(shown.splitlines())) == (1, 1)
    assert "--threshold: the classes of" in shown


def test_a_border_is_a_threshold_of_enlarged_probabilities(predict: Predict, model: Path, tmp_path: Path) -> None:
    stripes(240, 160, "red", "none").save(tmp_path / "a.png")
    widths = []
    for threshold in (0.01, 0.5, 0.99):
        predict("a.png", "--model", model, "--out", "out", "--threshold", threshold)
        widths.append(int((values(tmp_path / "out/a.mask.png")[80] == 1).sum()))
    # The network's pixels are 10 wide; between two of them the probability falls from 1 to 0 along a line.
    assert 115 <= widths[1] <= 121
    assert 8 <= widths[0] - widths[2] <= 15, "a border of the network's own size would be 0 or 10"
    assert widths == sorted(set(widths), reverse=True)


def test_one_class_is_black_and_white(predict: Predict, tmp_path: Path) -> None:
    one = save_model(tmp_path / "one.safetensors", ["red"])
    stripes(40, 40, "none", "red").save(tmp_path / "a.png")
    assert predict("a.png", "--model", one, "--out", "out")[0] == 0
    mask = Image.open(tmp_path / "out/a.mask.png")
    assert mask.mode == "L"
    assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_every_way_to_store_an_image_is_read_as_training_reads_it(
    predict: Predict, model: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    upright = stripes(48, 32, "red", "blue")
    turned = Image.Exif()
    turned[ORIENTATION] = 6  # to be turned clockwise by 90°
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "turned.jpg", exif=turned)
    upright.convert("CMYK").save(photos / "cmyk.jpg")
    upright.convert("P").save(photos / "palette.gif")
    upright.convert("RGBA").save(photos / "alpha.webp")
    upright.convert("L").save(photos / "grey.bmp")
    Image.fromarray(np.full((32, 48), 50_000, np.uint16)).save(photos / "deep.tiff")
    assert predict(photos, "--model", model, "--out", "out") == (0, "")
    for name in ("turned", "cmyk", "palette", "alpha"):
        mask = values(tmp_path / f"out/{name}.mask.png")
        assert mask.shape == (32, 48), name
        assert (mask[16, 10], mask[16, 40]) == (1, 3), name
    for name in ("grey", "deep"):
        assert values(tmp_path / f"out/{name}.mask.png").shape == (32, 48)


def test_coco_results_and_planes_hold_each_class_by_itself(predict: Predict, model: Path, tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0] = pixels[:, 15:, 2] = 255  # red and blue overlap from 15 to 30
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos/000000000139.png")
    Image.fromarray(pixels * 0).save(tmp_path / "photos/000000000285.png")
    status, _ = predict("photos", "--model", model, "--out", "out", "--coco", "masks.json", "--planes")
    assert status == 0
    results = json.loads((tmp_path / "masks.json").read_text(encoding="utf-8"))
    assert [(entry["image_id"], entry["category_id"], entry["category"]) for entry in results] == [
        (139, 1, "red"),
        (139, 3, "blue"),
    ], "a class that covers nothing has no entry"
    for entry in results:
        plane = coco_mask.decode(entry["segmentation"])
        np.testing.assert_array_equal(plane * 255, values(tmp_path / f"out/000000000139.{entry['category']}.png"))
        assert plane[:, 17:28].all(), "both claim the overlap"
        assert 0.5 < entry["score"] <= 1
    assert not values(tmp_path / "out/000000000139.green.png").any()


def test_models_are_shown_side_by_side(predict: Predict, model: Path, tmp_path: Path) -> None:
    other = save_model(tmp_path / "train/shapes/unet/dice/seed1.safetensors", ["red", "green", "blue"], (32, 32), 0.9)
    stripes(64, 64, "red", "none").save(tmp_path / "a.png")
    assert predict("a.png", "--model", model, "--out", "out", "--compare", other, model) == (0, "")
    page = Image.open(tmp_path / "out/a.compare.png")
    assert page.width == 3 * (256 + 8) + 8, "the input and two models; the first is not shown twice"
    assert page.getpixel((8 + 264 + 20, 150)) != (0, 0, 0)


def test_folders_keep_their_structure_and_names_stay_apart(predict: Predict, model: Path, tmp_path: Path) -> None:
    for place in ("photos/a.png", "photos/a.jpg", "photos/deeper/a.png", "b/a.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        stripes(20, 20, "red").save(tmp_path / place)
    (tmp_path / "photos/notes.txt").write_text("no image", encoding="utf-8")
    for _ in range(2):  # the second run does not take the first one's masks for images
        assert predict("photos", "b/a.png", "--model", model, "--out", "photos/out")[0] == 0
        masks = sorted(str(path.relative_to(tmp_path / "photos/out")) for path in tmp_path.rglob("*.mask.png"))
        assert masks == ["a-2.mask.png", "a-3.mask.png", "a.mask.png", "deeper/a.mask.png"]


def test_an_image_comes_from_a_url(predict: Predict, model: Path, tmp_path: Path) -> None:
    body = io.BytesIO()
    stripes(30, 20, "green").save(body, "PNG")
    with serve() as server:
        server.files["/photos/dog%201.png"] = body.getvalue()
        status, shown = predict(
            f"{server.url}/photos/dog%201.png", f"{server.url}/none.png", "--model", model, "--out", "out"
        )
    assert status == 1
    assert f"{server.url}/none.png: not there: the server answered 404" in shown
    assert (values(tmp_path / "out/dog 1.mask.png") == 2).all()


def test_unreadable_images_are_named_and_the_rest_is_done(predict: Predict, model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    stripes(20, 20, "red").save(photos / "good.png")
    stripes(200, 200, "red", "blue").save(photos / "whole.jpg", quality=95)
    (photos / "cut.jpg").write_bytes((photos / "whole.jpg").read_bytes()[:900])
    (photos / "empty.png").touch()
    (photos / "text.png").write_text("no image", encoding="utf-8")
    bomb = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(bomb, "PNG")
    (photos / "bomb.png").write_bytes(bomb.getvalue())
    status, shown = predict(photos, "none.png", "--model", model, "--out", "out")
    assert status == 1
    assert shown.splitlines() == [
        "error: 5 of 7 images could not be used; the others are done",
        f"{photos}/bomb.png: more than 100 million pixels",
        f"{photos}/cut.jpg: damaged, or cut short",
        f"{photos}/empty.png: the file is empty",
        f"{photos}/text.png: not an image that can be read (JPEG, PNG, WebP, BMP, TIFF or GIF)",
        "none.png: not found",
    ]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mask.png")) == ["good.mask.png", "whole.mask.png"]


def test_a_single_bad_image_is_one_line(predict: Predict, model: Path) -> None:
    assert predict("none.png", "--model", model, "--out", "out") == (1, "error: none.png: not found")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "--model", "cut.safetensors"], "error: cut.safetensors: not a losslab model, or damaged"),
        (["a.png", "--model", "none.safetensors"], "error: none.safetensors: not found"),
        (
            ["a.png", "--model", "MODEL", "--compare", "cats.safetensors"],
            "error: cats.safetensors: its classes are cat",
        ),
        (["a.png", "--model", "MODEL", "--threshold", "1.5"], "error: --threshold: 1.5 is not between 0 and 1"),
        (["empty", "--model", "MODEL"], "error: empty: no image in this folder"),
        (["out", "--model", "MODEL"], "error: out: that is where the images are"),
        (["ftp.png", "--model", "MODEL"], "error: ftp.png: not found"),
        (["http://127.0.0.1:9/a.png", "--model", "MODEL"], "error: http://127.0.0.1:9/a.png: cannot be fetched"),
        (["http://[", "--model", "MODEL"], "error: http://["),
    ],
)
def test_what_is_wrong_is_one_line(
    predict: Predict, model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    stripes(20, 20, "red").save(tmp_path / "a.png")
    (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:-1])
    save_model(tmp_path / "cats.safetensors", ["cat"])
    for folder in ("empty", "out"):
        (tmp_path / folder).mkdir()
    arguments = [str(model) if argument == "MODEL" else argument for argument in arguments]
    status, shown = predict(*arguments, "--out", "out")
    assert status == 1
    assert shown.startswith(message)
    assert len(shown.splitlines()) == 1


def test_the_same_images_give_the_same_bytes(predict: Predict, model: Path, tmp_path: Path) -> None:
    stripes(50, 40, "red", "green").save(tmp_path / "a.png")
    for out in ("one", "two"):
        predict("a.png", "--model", model, "--out", out, "--compare", model, "--coco", f"{out}/masks.json")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["a.compare.png", "a.mask.png", "a.overlay.png", "masks.json"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_class_overwrites_another_output(predict: Predict, tmp_path: Path) -> None:
    classes = ["Mask", "overlay", "../mask"]
    model, plain = (save_model(tmp_path / f"{n}.safetensors", names) for n, names in
                    (("odd", classes), ("plain", ["red", "green", "blue"])))  # fmt: skip
    stripes(60, 20, "red", "green", "blue").save(tmp_path / "a.png")
    for name in ("odd", "plain"):
        path = model if name == "odd" else plain
        assert predict("a.png", "--model", path, "--out", name, "--planes", "--threshold", "0.5") == (0, "")
    for output in ("a.mask.png", "a.overlay.png"):
        assert (tmp_path / "odd" / output).read_bytes() == (tmp_path / "plain" / output).read_bytes()
    planes = {path.name for path in (tmp_path / "odd").iterdir()} - {"a.mask.png", "a.overlay.png"}
    assert planes == {"a.Mask-2.png", "a.overlay-2.png", "a._mask.png"}


def test_classes_that_would_share_a_file_have_one_each() -> None:
    words = class_words(["a b", "a_b", "A/b", "mask", "MASK", "", "é" * 300, "a_b-2"])
    assert words[:3] == ["a_b", "a_b-2", "A_b-3"]
    assert len({word.casefold() for word in (*words, "mask", "overlay", "compare")}) == 8 + 3
    assert all(0 < len(f"{word}.png".encode()) < 200 for word in words)


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "no precision": ({"train": {}}, "does not say its image_size and train"),
    "a precision of a list": ({"train": {"precision": ["float32"]}}, "does not say its image_size and train"),
    "another precision": ({"train": {"precision": "float8"}}, "does not say its image_size and train"),
    "a size in words": ({"image_size": ["16", "24"]}, "does not say its image_size and train"),
    "a size with a fraction": ({"image_size": [16.0, 24]}, "does not say its image_size and train"),
    "one side": ({"image_size": [16]}, "does not say its image_size and train"),
    "an image of gigabytes": ({"image_size": [16384, 16384]}, "its image_size is more than 4096"),
    "two deviations": ({"std": [1.0, 1.0]}, "is not for images of three channels"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_metadata_is_one_line(predict: Predict, model: Path, tmp_path: Path, what: str) -> None:
    change, message = ODD[what]
    with safe_open(model, "pt") as file:
        metadata = json.loads(file.metadata()["losslab"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model_file.save(model, state, metadata | change)
    stripes(40, 40, "red").save(tmp_path / "a.png")
    status, shown = predict("a.png", "--model", model, "--out", "out")
    assert (status, len(shown.splitlines())) == (1, 1)
    assert message in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_one_line(predict: Predict, model: Path, tmp_path: Path, value: float) -> None:
    with safe_open(model, "pt") as file:
        metadata = json.loads(file.metadata()["losslab"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state["head.bias"][0] = value
    model_file.save(model, state, metadata)
    stripes(40, 40, "red").save(tmp_path / "a.png")
    status, shown = predict("a.png", "--model", model, "--out", "out")
    assert (status, len(shown.splitlines())) == (1, 1)
    assert "has weights that are no numbers" in shown


def test_images_whose_names_differ_in_case_only_have_outputs_of_their_own(tmp_path: Path) -> None:
    names = [source.name for source in find_images(["x/a.png", "y/A.png", "z/a.jpg"], tmp_path)]
    assert names == ["a", "A-2", "a-3"]


@pytest.mark.skipif(sys.platform == "darwin", reason="this system has no names of such bytes")
def test_names_of_any_length_and_bytes_have_outputs(predict: Predict, tmp_path: Path) -> None:
    model = save_model(tmp_path / "m.safetensors", ["山" * 300, "𠀀" * 300])
    (tmp_path / "in").mkdir()
    for name in (b"x" * 250, b"x" * 251, b"\xff", "é".encode() * 120):
        stripes(24, 16, "red").save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name + b".png"))
    assert predict("in", "--model", model, "--out", "out", "--planes", "--coco", "c.json") == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == 4 * 4
    assert len({result["image_id"] for result in json.loads((tmp_path / "c.json").read_bytes())}) == 4


def test_a_photograph_is_fitted_as_training_images_are(tmp_path: Path) -> None:
    stripes(120, 40, "red", "green", "blue").save(tmp_path / "a.png")
    for pad in (False, True):
        frame = Frame(20, 32, pad)
        shown = fitted(Image.open(tmp_path / "a.png"), frame)
        np.testing.assert_array_equal(shown.transpose(2, 0, 1), read_image(tmp_path / "a.png", 120, 40, frame))
        rows, columns = frame.content(120, 40)
        assert (rows.stop - rows.start, columns.stop - columns.start) == ((11, 32) if pad else (20, 32))
