"""Label Studio's export: polygons and strokes become planes, images are found by their paths, and what is wrong is one
line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction import contents, dataset, run
from label_studio_world import LABELS, encode, polygon, region, shown, stroke, task, tasks, write

from losslab import data
from losslab.data.photos import reduce_mask
from losslab.errors import InputError


def made(folder: Path, workers: int = 1, **more: Any) -> data.Dataset:
    download = {"annotations": str(folder / "project.json"), "images": str(folder / "images")}
    extract = {"image_size": 16, "workers": workers} | more.pop("extract", {})
    return dataset("label_studio", download | more, extract)


def planes(splits: dict[str, Any]) -> dict[int, np.ndarray]:
    """Number of an image → its masks."""
    pairs = [pair for split in splits.values() for pair in zip(split.ids, split.masks, strict=True)]
    return {int(Path(name).stem[-3:]): masks for name, masks in pairs}


def test_polygons_and_strokes_become_planes(tmp_path: Path) -> None:
    splits, account = run(made(write(tmp_path / "set")), tmp_path / "w")
    assert {name: len(split.ids) for name, split in splits.items()} == {"train": 14, "val": 2, "test": 4}
    assert (account["source_images"], account["several_annotations"], account["other_regions"]) == (20, 0, {})
    assert splits["train"].classes == LABELS
    assert not splits["train"].exclusive
    by_number = planes(splits)
    assert len(by_number) == 20
    for number, masks in by_number.items():
        expected = np.zeros_like(masks)
        if number % 5 != 4:
            expected[number % 2] = reduce_mask(shown(number), 16)
        np.testing.assert_array_equal(masks, expected)


def test_regions_of_one_label_are_united_and_two_labels_of_one_region_are_two_planes(tmp_path: Path) -> None:
    whole = tasks(12)
    both = stroke(0, "cell")
    both["value"]["brushlabels"] = ["cell", "dust"]
    apart = region("labels", "dust", format="rle", rle=encode(255 * shown(6)))
    whole[0]["annotations"][0]["result"] = [both, polygon(5, "cell"), apart]
    splits, _ = run(made(write(tmp_path / "set", whole)), tmp_path / "w")
    np.testing.assert_array_equal(planes(splits)[0][0], reduce_mask(shown(0) | shown(5), 16))
    np.testing.assert_array_equal(planes(splits)[0][1], reduce_mask(shown(0) | shown(6), 16))


def test_the_classes_that_are_asked_for_are_the_planes(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    splits, account = run(made(folder, extract={"classes": ["dust"]}), tmp_path / "w")
    assert splits["train"].classes == ("dust",)
    assert account["other_labels"] == ["cell"]
    with pytest.raises(InputError, match=r"project\.json: nothing has the label 'dist'; did you mean 'dust'"):
        run(made(folder, extract={"classes": ["dist"]}), tmp_path / "v")


def test_what_was_not_submitted_or_was_turned_is_left_out_and_one_of_several_annotations_counts(tmp_path: Path) -> None:
    whole = tasks(14)
    whole[0]["annotations"] = []
    whole[1]["annotations"][0]["was_cancelled"] = True
    whole[2]["annotations"][0]["result"][0]["image_rotation"] = 90
    [first] = whole[3]["annotations"]
    later = first | {"updated_at": "2026-02-01T10:00:00.000000Z", "result": [polygon(9, "cell")]}
    whole[3]["annotations"] = [later, first]
    [second] = whole[5]["annotations"]
    whole[5]["annotations"] = [later, second | {"ground_truth": True, "result": [polygon(2, "cell")]}]
    whole[6]["annotations"][0]["result"].append(region("rectanglelabels", "cell", x=1, y=1, width=9, height=9))
    whole[6]["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["sharp"]}})
    splits, account = run(made(write(tmp_path / "set", whole)), tmp_path / "w")
    assert account["splits"]["train"]["left_out"] == {"not_annotated": 2, "turned": 1}
    assert (account["several_annotations"], account["other_regions"]) == (2, {"rectanglelabels": 1})
    for number, of in ((3, 9), (5, 2)):
        np.testing.assert_array_equal(planes(splits)[number][0], reduce_mask(shown(of), 16))


@pytest.mark.parametrize(
    "address",
    ["/data/local-files/?d=scans/{}", r"/data/local-files/?d=C%3A%5Cscans%5C{}", "s3://bucket/scans/{}",
     "https://host/a%20b/{}?X-Amz=1", "/data/upload/7/0a1b2c3d-{}", "{}"],
)  # fmt: skip
def test_an_image_is_found_whatever_address_it_has(tmp_path: Path, address: str) -> None:
    whole = tasks(12)
    for each in whole:
        each["data"] = {"text": "a scan", "picture": address.format(f"{each['id']:03}.png")}
    splits, _ = run(made(write(tmp_path / "set", whole)), tmp_path / "w")
    assert set(planes(splits)) == set(range(12))


def test_of_two_images_of_one_name_the_folder_decides(tmp_path: Path) -> None:
    whole = tasks(12)
    for each in whole:
        each["data"] = {"image": f"s3://bucket/a/{each['id']:03}.png"}
    folder = write(tmp_path / "set", whole)
    (folder / "images").rename(folder / "a")
    shutil.copytree(folder / "a", folder / "images/a")
    shutil.copytree(folder / "a", folder / "images/b")
    splits, _ = run(made(folder), tmp_path / "w")
    assert {name.split("/")[0] for split in splits.values() for name in split.ids} == {"a"}
    (folder / "images/a").rename(folder / "images/c")
    with pytest.raises(InputError, match=r"task 0 may be of b/000\.png or c/000\.png; remove one of them"):
        run(made(folder), tmp_path / "v")


def test_an_image_that_is_missing_or_of_another_size_is_listed(tmp_path: Path) -> None:
    whole = tasks(15)
    whole[4]["annotations"][0]["result"] = [region("polygonlabels", "cell", points=[[1, 1], [9, 9]])]
    whole[8]["annotations"][0]["result"] = [region("brushlabels", "cell", rle=encode(shown(8).T))]
    folder = write(tmp_path / "set", whole)
    (folder / "images/002.png").unlink()
    whole[8]["annotations"][0]["result"][0]["value"]["rle"][3] += 4
    (folder / "project.json").write_text(json.dumps(whole), encoding="utf-8")
    _, account = run(made(folder), tmp_path / "w")
    assert {each["id"][-7:]: each["reason"] for each in account["unreadable"]} == {
        "002.png": "missing", "004.png": "bad_polygon", "008.png": "size_disagrees",
    }  # fmt: skip


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", tasks(40))
    for workers in (1, 2):
        run(made(folder, workers), tmp_path / str(workers))
    assert contents(tmp_path / "1/out") == contents(tmp_path / "2/out")


WRONG: dict[str, tuple[Any, str]] = {
    "no list": ({"images": []}, 'project.json: not what Label Studio exports as "JSON": Expected `array`'),
    "JSON-MIN": ([{"id": 1, "image": "a.png", "tag": []}], 'project.json: not what Label Studio exports as "JSON"'),
    "no image": (
        [task(7, [stroke(7, "cell")], data={"text": "a"})],
        "project.json: task 7: 0 images in its data, one is wanted: {'text': 'a'}",
    ),
    "two images": (
        [task(7, [stroke(7, "cell")], data={"a": "a.png", "b": "b.png"})],
        "project.json: task 7: 2 images in its data, one is wanted",
    ),
    "boxes alone": (
        [task(7, [region("rectanglelabels", "cell", x=1, y=1, width=9, height=9)])],
        "project.json: none of 1 tasks has a polygon or a brush stroke with a label; 1 rectanglelabels",
    ),
    "no bytes": (
        [task(7, [region("brushlabels", "cell", rle=[0, 256])])],
        "project.json: task 7: a region of type brushlabels: Expected `int` <= 255 - at `$.rle[1]`",
    ),
    "no corners": (
        [task(7, [region("polygonlabels", "cell", points=[[1, 2, 3]])])],
        "project.json: task 7: a region of type polygonlabels: Expected `array` of length 2 - at `$.points[0]`",
    ),
    "one image twice": (
        [task(1, [stroke(1, "cell")]), task(2, [stroke(1, "cell")], data={"image": "001.png"})],
        "images: tasks 1 and 2 are both of 001.png; remove one",
    ),
    "other images": (
        [task(1, [stroke(1, "cell")], data={"image": "other.png"})],
        "images: holds none of the images, such as other.png",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_export_that_is_wrong_is_one_line(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    folder = write(tmp_path / "set")
    (folder / "project.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as error:
        run(made(folder), tmp_path / "w")
    assert str(error.value).removeprefix(f"{folder}/").startswith(message)
    assert "\n" not in str(error.value)


def test_an_export_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "set")
    (folder / "project.json").unlink()
    with pytest.raises(InputError, match=r"project\.json: not found"):
        run(made(folder), tmp_path / "w")
