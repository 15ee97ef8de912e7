"""Annotation files, right and wrong, and which images are selected from them."""

import codecs
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_world import coco_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from losslab.data.coco.annotations import read
from losslab.data.coco.selection import Rules, judge, selected
from losslab.errors import InputError


def encoded(file: Any) -> bytes:
    return json.dumps(file).encode()


def reasons(file: dict[str, Any], **changes: Any) -> list[str]:
    rules = {"classes": ("cell",), "instances": "only_annotation", "min_box": 10, "min_box_side": "longer"}
    return judge(read(encoded(file), "a.json"), Rules(**(rules | changes))).reasons.tolist()


def world(*boxes: tuple[int, list[float], int]) -> dict[str, Any]:
    """One 32×32 image with annotations of (category, box, iscrowd); category 3 is cell, 10 dust."""
    file = coco_file(1)
    one = file["annotations"][0]
    file["annotations"] = [
        one | {"id": k, "category_id": c, "bbox": box, "iscrowd": crowd} for k, (c, box, crowd) in enumerate(boxes)
    ]
    return file


BOX = [1, 1, 12, 8]


@pytest.mark.parametrize(
    ("boxes", "only", "one", "every"),
    [
        ([(3, BOX, 0)], "", "", ""),
        ([], "no_annotation", "no_annotation", "no_annotation"),
        ([(3, BOX, 0), (10, BOX, 0)], "several_annotations", "", ""),
        ([(3, BOX, 0), (3, BOX, 0)], "several_annotations", "several_objects", ""),
        ([(3, BOX, 0), (3, BOX, 1)], "several_annotations", "", ""),
        ([(3, BOX, 1)], "crowd", "crowd", "crowd"),
        ([(10, BOX, 0)], "other_class", "other_class", "other_class"),
        ([(3, [1, 1, 9, 9], 0)], "small_box", "small_box", "small_box"),
        ([(3, [1, 1, 0, 20], 0)], "bad_box", "bad_box", "bad_box"),
        ([(3, [1, 1, -5, 20], 0)], "bad_box", "bad_box", "bad_box"),
        ([(3, [40, 1, 20, 20], 0)], "box_outside_image", "box_outside_image", "box_outside_image"),
        ([(3, [-50, 1, 20, 20], 0)], "box_outside_image", "box_outside_image", "box_outside_image"),
        ([(3, [-5, -5, 20, 20], 0)], "", "", ""),
        ([(3, [1, 1, 2, 2], 0), (3, BOX, 0), (3, [1, 1, 0, 99], 0)], "several_annotations", "several_objects", ""),
        ([(3, [1, 1, 9, 9], 0), (3, BOX, 1)], "several_annotations", "small_box", "small_box"),
    ],
)
def test_an_image_qualifies_or_has_a_reason(boxes: list[Any], only: str, one: str, every: str) -> None:
    assert reasons(world(*boxes)) == [only]
    assert reasons(world(*boxes), instances="all") == [every]
    assert reasons(world(*boxes), instances="one_of_class") == [one]


def test_min_box_means_the_longer_side_or_both() -> None:
    assert reasons(world((3, BOX, 0)), min_box_side="both") == ["small_box"]
    assert reasons(world((3, BOX, 0)), min_box=12, min_box_side="longer") == [""]


def test_the_official_kinds_of_outline_are_accepted() -> None:
    file = coco_file(3)
    file["annotations"][0]["segmentation"] = {"size": [32, 32], "counts": "abc"}
    file["annotations"][1]["segmentation"] = {"size": [32, 32], "counts": [1, 2]}
    columns = read(encoded(file), "a.json")
    for index in range(3):
        columns.segmentation(index)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(file: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = file
        for part in way:
            place = place[part]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value

    return apply


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (change("images", KeyError), "missing required field `images`"),
        (change("annotations.3.bbox", KeyError), r"missing required field `bbox` - at `\$.annotations\[3\]`"),
        (change("images.2.width", "wide"), r"Expected `int`, got `str` - at `\$.images\[2\].width`"),
        (change("images.2.height", 0), r"\$.images\[2\].height"),
        (change("annotations.3.bbox", [1, 2, 3]), r"\$.annotations\[3\].bbox"),
        (change("annotations.3.bbox", [1, 2, None, 4]), r"\$.annotations\[3\].bbox\[2\]"),
        (change("annotations.3.image_id", 99), "annotation 103: there is no image 99"),
        (change("annotations.3.category_id", 99), "annotation 103: there is no category 99"),
        (change("annotations.3.id", 100), "annotations: id 100 is used 2 times"),
        (change("images.3.id", 1), "images: id 1 is used 2 times"),
        (change("categories.1.id", 3), "categories: id 3 is used 2 times"),
        (change("images.3.file_name", "../x.png"), r"\$.images\[3\] \(id 3\): unsafe file_name"),
        (change("images.3.file_name", "/x.png"), "unsafe file_name"),
        (change("images.3.file_name", "a\\..\\x.png"), "unsafe file_name"),
        (change("images.3.file_name", ""), "unsafe file_name"),
        (change("images.3.file_name", "é" * 128 + ".png"), "unsafe file_name"),
        (change("images.3.file_name", "a/" * 3000), "unsafe file_name"),
        (change("categories.1.name", "cell\n\x1b[31m"), r"\$.categories\[1\]: its name has control characters"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_the_record(
    wrong: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = coco_file()
    wrong(file)
    with pytest.raises(InputError, match=f"^a.json: .*{message}"):
        read(encoded(file), "a.json")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"images": NaN}', b"[" * 100_000])
def test_broken_json_is_an_error_that_names_the_file(text: bytes) -> None:
    with pytest.raises(InputError, match=r"^a.json: "):
        read(text, "a.json")


def test_an_unknown_class_names_the_nearest() -> None:
    with pytest.raises(InputError, match="has no class 'cel'; did you mean 'cell'"):
        reasons(coco_file(), classes=("cel",))


def test_an_outline_of_another_form_names_its_annotation() -> None:
    file = coco_file()
    file["annotations"][2]["segmentation"] = ["polygon"]
    with pytest.raises(InputError, match="annotation 102: segmentation: Expected"):
        read(encoded(file), "a.json").segmentation(2)


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
PLACES = ["images", "annotations", "categories"] + [
    f"{kind}.{index}{key}"
    for kind, keys in {
        "images": ("", ".id", ".width", ".height", ".file_name"),
        "annotations": ("", ".id", ".image_id", ".category_id", ".bbox", ".bbox.2", ".iscrowd", ".segmentation"),
        "categories": ("", ".id", ".name"),
    }.items()
    for index in (0, 1)
    for key in keys
]


def survive(text: bytes) -> None:
    """Whatever the file: columns and a selection, or an InputError of one line that names the file."""
    try:
        file = read(text, "a.json")
        verdicts = judge(file, Rules(classes=("cell",), instances="one_of_class", min_box=1, min_box_side="both"))
        selected(file, verdicts, np.flatnonzero(verdicts.reasons == ""), "all")
    except InputError as error:
        message = str(error)
        assert message.startswith("a.json: ")
        assert len(message.splitlines()) == 1


def mutated(edits: list[tuple[str, Any]], cut: int | None) -> bytes:
    file = coco_file(2)
    for place, value in edits:
        try:
            change(place, value)(file)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier edit took the place away
    text = json.dumps(file).encode("utf-8", "surrogatepass")
    return text[:cut]


EDITS = st.lists(st.tuples(st.sampled_from(PLACES), WILD), min_size=1, max_size=3)
CUT = st.none() | st.integers(0, 600)


@given(EDITS, CUT)
@settings(max_examples=150, deadline=None)
def test_no_annotation_file_makes_a_traceback(edits: list[tuple[str, Any]], cut: int | None) -> None:
    survive(mutated(edits, cut))


@pytest.mark.slow
@given(EDITS, CUT)
@settings(max_examples=5000, deadline=1000, suppress_health_check=list(HealthCheck))
def test_no_annotation_file_makes_a_traceback_in_5000_cases(edits: list[tuple[str, Any]], cut: int | None) -> None:
    survive(mutated(edits, cut))


FULL_SIZE = """
import json, sys, time
from pathlib import Path
from losslab.data.coco.annotations import read
from losslab.data.coco.selection import Rules, judge, selected
import numpy as np
started = time.perf_counter()
with open(sys.argv[1], "rb") as file:
    columns = read(file.read(), "full.json")
verdicts = judge(columns, Rules(classes=("class 3", "class 5"), instances="one_of_class", min_box=100))
chosen = np.flatnonzero(verdicts.reasons == "")
images, records = selected(columns, verdicts, chosen, "train2017"), columns.records(chosen)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) * 1024  # getrusage would count what started this process
print(json.dumps([time.perf_counter() - started, peak, len(images), len(records)]))
"""


@pytest.mark.slow
def test_a_file_of_full_coco_size_is_selected_from_within_30_seconds_and_2_gb(tmp_path: Path) -> None:
    images, annotations = 118_287, 860_000
    outline = ",".join(f"{k}.25" for k in range(50, 111))  # 448 MB in all, as the official file
    with (tmp_path / "full.json").open("w") as file:
        file.write('{"images":[')
        file.write(
            ",".join(
                f'{{"license":1,"file_name":"{i:012}.jpg","coco_url":"http://images.example/train2017/{i:012}.jpg",'
                f'"height":480,"width":640,"date_captured":"2013-11-14 17:02:52","id":{i}}}'
                for i in range(images)
            )
        )
        file.write('],"annotations":[')
        file.write(
            ",".join(
                f'{{"segmentation":[[{outline},1.5]],"area":{j % 9999}.5,"iscrowd":0,"image_id":{j * 7919 % images},'
                f'"bbox":[1.5,2.25,{j % 300}.5,{j % 200}.75],"category_id":{j * 31 % 80 + 1},"id":{j}}}'
                for j in range(annotations)
            )
        )
        names = ",".join(f'{{"id":{k + 1},"name":"class {k}","supercategory":"s"}}' for k in range(80))
        file.write(f'],"categories":[{names}]}}')
    assert (tmp_path / "full.json").stat().st_size > 440e6
    command = [sys.executable, "-c", FULL_SIZE, str(tmp_path / "full.json")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    seconds, peak, selected, records = json.loads(done.stdout)
    print(f"{seconds:.1f} s, {peak / 1e9:.2f} GB, {selected} images")
    assert selected == records > 1000
    assert seconds < 30
    assert peak < 2e9


@pytest.mark.parametrize("place", ["images.0.id", "images.0.width", "annotations.0.id", "annotations.0.iscrowd",
                                   "categories.0.id", "images.0.extra", "annotations.0.segmentation"])  # fmt: skip
def test_a_number_of_5000_digits_is_one_line(place: str) -> None:
    kind, index, key = place.split(".")
    file = coco_file(2)
    file[kind][int(index)][key] = {"size": [32, 32], "counts": "HERE"} if key == "segmentation" else "HERE"
    text = encoded(file).replace(b'"HERE"', b"[HERE]" if key == "segmentation" else b"HERE")

    def read_all() -> None:
        content = read(text.replace(b"HERE", b"9" * 5000), "a.json")
        content.records([0])
        content.segmentation(0)

    with pytest.raises(InputError, match=r"^a\.json: ") as caught:
        read_all()
    assert len(str(caught.value)) < 300
    assert len(str(caught.value).splitlines()) == 1


def test_a_byte_order_mark_is_no_error() -> None:
    assert read(codecs.BOM_UTF8 + encoded(coco_file(3)), "a.json").names == ["cell", "dust"]
