"""COCO end to end: real images where `shared/coco_mini` is at hand, and small sets made here."""

import contextlib
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_world import Server, coco_file, dataset, official, run, wait_for, write_set
from PIL import Image
from projects import ROOT
from pycocotools.coco import COCO

from losslab.data import tensors
from losslab.data.coco import sources
from losslab.errors import InputError

WANTED = {"train": "train2017", "test": "val2017", "classes": ("person", "cat", "dog"), "instances": "one_of_class"}


@pytest.fixture(scope="session")
def coco_mini() -> Path:
    folder = Path(os.environ.get("LOSSLAB_COCO_MINI", ROOT.parent / "shared" / "coco_mini"))
    if not folder.is_dir():
        pytest.skip("shared/coco_mini, 343 real COCO images, is not here")
    return folder


def area_reduced(mask: np.ndarray, size: int) -> np.ndarray:
    """By the area that each pixel shares with each small pixel, in units of 1/size of a pixel: whole numbers."""

    def shared(length: int) -> np.ndarray:
        small, pixel = np.arange(size)[:, None] * length, np.arange(length) * size
        return np.clip(np.minimum(small + length, pixel + size) - np.maximum(small, pixel), 0, None).astype(float)

    height, width = mask.shape
    return (2 * (shared(height) @ mask @ shared(width).T) >= height * width).astype(np.uint8)


@functools.cache
def one_annotation_each(folder: Path) -> dict[str, dict[str, Any]]:
    """The annotation files with one annotation for each image that has any, now of another place in its list, now of
    another; a crowd, too, made an object, since it is what COCO has run lengths for."""
    files = {}
    for split in ("train2017", "val2017"):
        file = json.loads((folder / "annotations" / f"instances_{split}.json").read_text())
        of_image: dict[int, list[dict[str, Any]]] = {}
        for annotation in file["annotations"]:
            of_image.setdefault(annotation["image_id"], []).append(annotation | {"iscrowd": 0})
        lists = of_image.values()
        file["annotations"] = [
            next((a for a in annotations if isinstance(a["segmentation"], dict)), annotations[k % len(annotations)])
            for k, annotations in enumerate(lists)
        ]
        files[split] = file
    return files


@functools.cache
def expected_masks(folder: Path, size: int) -> dict[str, np.ndarray]:
    """Image id → its mask by pycocotools at full size, reduced by area; where nothing is left of it, none."""
    expected = {}
    with contextlib.redirect_stdout(StringIO()):
        for file in one_annotation_each(folder).values():
            coco = COCO()
            coco.dataset = file
            coco.createIndex()
            for annotation in file["annotations"]:
                mask = area_reduced(coco.annToMask(annotation), size)
                if mask.any():
                    expected[str(annotation["image_id"])] = mask
    return expected


@pytest.mark.parametrize("size", [64, pytest.param(256, marks=pytest.mark.slow)])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_mask_of_every_image_of_real_coco_is_the_area_reduction_of_pycocotools_mask(
    coco_mini: Path, tmp_path: Path, workers: int, size: int
) -> None:
    for split, file in one_annotation_each(coco_mini).items():
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(file))
    every = {
        "annotations": str(tmp_path),
        "train": "train2017",
        "test": "val2017",
        "classes": tuple(category["name"] for category in file["categories"]),
        "extract_planes": "binary",
        "extract_image_size": size,
        "extract_workers": workers,
    }
    account = run(dataset(coco_mini, **every), tmp_path / "w")
    expected = expected_masks(coco_mini, size)
    extracted = {}
    for split in ("train", "val", "test"):
        store = tensors.read(tmp_path / "w/out" / f"{split}.safetensors")
        assert store.images.std(axis=(1, 2, 3)).min() > 5
        extracted |= {image_id: masks[0] for image_id, masks in zip(store.ids, store.masks, strict=True)}
    assert extracted.keys() == expected.keys()
    for image_id, mask in extracted.items():
        np.testing.assert_array_equal(mask, expected[image_id], err_msg=image_id)
    left_out = sum((Counter(split["left_out"]) for split in account["splits"].values()), Counter())
    assert left_out.keys() <= {"no_annotation", "mask_vanishes"}
    assert len(expected) + left_out.total() == 343
    assert len(expected) > 250


def members(account: dict[str, Any], what: str = "images") -> int:
    splits = account["splits"].values()
    parts = splits if what == "images" else [split["annotations"] for split in splits]
    return sum(part["kept"] + sum(part["left_out"].values()) for part in parts)


def test_the_plane_of_every_mask_is_that_of_its_class(coco_mini: Path, tmp_path: Path) -> None:
    account = run(dataset(coco_mini, **WANTED), tmp_path / "w")
    assert members(account) == account["source_images"] == 343
    assert members(account, "annotations") == account["source_annotations"] == 2974
    assert account["unreadable"] == []
    for split, part in account["splits"].items():
        store = tensors.read(tmp_path / "w/out" / f"{split}.safetensors")
        coco = COCO(str(coco_mini / "annotations" / f"instances_{store.source}.json"))
        wanted = coco.getCatIds(catNms=list(WANTED["classes"]))
        planes: Counter[str] = Counter()
        for image_id, mask in zip(store.ids, store.masks, strict=True):
            [annotation] = coco.loadAnns(coco.getAnnIds(int(image_id), wanted, iscrowd=False))
            name = coco.cats[annotation["category_id"]]["name"]
            assert [WANTED["classes"][plane] for plane in np.flatnonzero(mask.any(axis=(1, 2)))] == [name]
            planes[name] += 1
        assert part["classes"] == {name: planes[name] for name in WANTED["classes"]}


def all_objects(coco: COCO, image_id: int, names: list[str], size: int) -> np.ndarray:
    """The plane of some classes: 1 where pycocotools' masks of its objects cover half of a pixel; 255 where they do
    not, but would with those of its crowds."""
    unions = []
    for iscrowd in (False, None):
        ids = coco.getAnnIds(image_id, coco.getCatIds(catNms=names), iscrowd=iscrowd)
        masks = [coco.annToMask(annotation) for annotation in coco.loadAnns(ids)]
        image = coco.imgs[image_id]
        unions.append(np.any([np.zeros((image["height"], image["width"]), bool), *masks], axis=0))
    objects, with_crowds = (area_reduced(union, size) for union in unions)
    return np.where(objects == 1, 1, with_crowds * np.uint8(255))


@pytest.mark.parametrize("planes", ["per_class", "binary"])
def test_all_objects_of_real_coco_are_in_the_planes_of_their_classes_and_crowds_are_void(
    coco_mini: Path, tmp_path: Path, planes: str
) -> None:
    classes = ("person", "car", "chair")
    wanted = WANTED | {"classes": classes, "instances": "all", "extract_planes": planes, "extract_image_size": 48}
    account = run(dataset(coco_mini, **wanted), tmp_path / "w")
    assert members(account) == account["source_images"] == 343
    assert members(account, "annotations") == account["source_annotations"] == 2974
    crowds = with_objects = kept = 0
    for split in ("train", "val", "test"):
        store = tensors.read(tmp_path / "w/out" / f"{split}.safetensors")
        coco = COCO(str(coco_mini / "annotations" / f"instances_{store.source}.json"))
        if split != "val":  # which is drawn from the same file as train
            objects = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=classes), iscrowd=False))
            with_objects += len({annotation["image_id"] for annotation in objects})
        kept += len(store.ids)
        for image_id, masks in zip(store.ids, store.masks, strict=True):
            groups = [[name] for name in classes] if planes == "per_class" else [list(classes)]
            expected = [all_objects(coco, int(image_id), names, 48) for names in groups]
            np.testing.assert_array_equal(masks, expected, err_msg=image_id)
            crowds += bool((masks == 255).any())
    assert kept >= 0.75 * with_objects
    assert with_objects > 150
    assert crowds > 0


def test_an_outline_without_area_among_others_costs_no_image(tmp_path: Path) -> None:
    file = coco_file(12)
    file["annotations"].append(
        file["annotations"][0] | {"id": 1, "category_id": 10, "segmentation": [[4, 4, 4, 4, 4, 4]]}
    )
    account = run(dataset(write_set(tmp_path / "set", file), instances="all"), tmp_path / "w")
    assert members(account) == 12
    assert members(account, "annotations") == 13
    left_out = sum((Counter(s["annotations"]["left_out"]) for s in account["splits"].values()), Counter())
    assert left_out == {"no_area": 1}


@pytest.mark.parametrize("instances", ["all", "one_of_class", "only_annotation"])
def test_a_class_without_an_image_is_said_before_any_image_is_fetched(
    tmp_path: Path, instances: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = coco_file(12)
    for annotation in file["annotations"]:
        if annotation["category_id"] == 10:
            annotation["bbox"][2:] = [4, 4]
    folder = write_set(tmp_path / "set", file)
    for picture in (folder / "all").iterdir():
        picture.unlink()
    with pytest.raises(InputError, match=r"no such folder|is missing"):
        run(dataset(folder, instances=instances, min_box=10, max_missing=0), tmp_path / "w")
    assert capsys.readouterr().out.splitlines() == [
        f"no image selected for {split} shows dust; images are left out for small_box: 6"
        for split in ("train", "val", "test")
    ]


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file(40))
    written = []
    for workers in (1, 2):
        run(dataset(folder, extract_workers=workers), tmp_path / str(workers))
        written.append([(p.name, p.read_bytes()) for p in sorted((tmp_path / str(workers) / "out").iterdir())])
    assert written[0] == written[1]


def test_a_server_in_the_official_layout_gives_what_the_folder_gives(
    coco_mini: Path, tmp_path: Path, server: Server
) -> None:
    where = official(server, coco_mini, ("train2017", "val2017"))
    run(dataset(coco_mini, **WANTED | where), tmp_path / "served")
    run(dataset(coco_mini, **WANTED), tmp_path / "folder")
    for name in ("train.safetensors", "val.safetensors", "test.safetensors", "extract.json"):
        assert (tmp_path / "served/out" / name).read_bytes() == (tmp_path / "folder/out" / name).read_bytes()
    # The archive once, and the selected images alone.
    selected = {f"/{path.parent.name}/{path.name}" for path in (tmp_path / "folder/raw/images").rglob("*.jpg")}
    assert server.counts == Counter(selected | {"/annotations/annotations_trainval2017.zip"})
    assert 50 < len(selected) < 100


def test_a_second_fetch_asks_the_server_for_nothing(tmp_path: Path, server: Server) -> None:
    where = official(server, write_set(tmp_path / "set", coco_file()), ("all",))
    run(dataset("", **where), tmp_path / "one")
    before = len(server.requests)
    run(dataset("", **where), tmp_path / "two")
    assert len(server.requests) == before


def test_a_fetch_killed_midway_fetches_only_what_is_missing(tmp_path: Path, server: Server) -> None:
    where = official(server, write_set(tmp_path / "set", coco_file(30)), ("all",))
    finished: list[str] = []

    def slow_after_ten(handler: Any, body: bytes) -> bool:
        if handler.path.endswith(".png"):
            if len(finished) >= 10:
                time.sleep(60)
            finished.append(handler.path)
        return False

    server.misbehave = slow_after_ten
    code = f"""if True:
        import sys; sys.path.insert(0, {str(ROOT / "tests/support")!r})
        from pathlib import Path; from coco_world import dataset
        Path('raw').mkdir(); dataset('', **{where!r}).fetch(Path('raw'))"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env)
    wait_for(lambda: len(list((tmp_path / "downloads").rglob("*.png"))) >= 10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = {path.name.split("-", 1)[1] for path in (tmp_path / "downloads").rglob("*.png")}
    server.misbehave = lambda handler, body: False
    server.requests.clear()
    account = run(dataset("", **where), tmp_path / "again")
    assert members(account) == 30
    asked = {path.rpartition("/")[2] for path, _ in server.requests}
    assert asked == {f"{i:04}.png" for i in range(30)} - whole


def test_two_processes_share_downloads_and_fetch_each_file_once(tmp_path: Path, server: Server) -> None:
    where = official(server, write_set(tmp_path / "set", coco_file(30)), ("all",))
    code = f"""if True:
        import sys; sys.path.insert(0, {str(ROOT / "tests/support")!r})
        from pathlib import Path; from coco_world import dataset
        raw = Path(sys.argv[1]); raw.mkdir(); dataset('', **{where!r}).fetch(raw)"""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path, env=env) for name in ("one", "two")]
    assert [process.wait() for process in both] == [0, 0]
    assert set(server.counts.values()) == {1}
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) == 31


def test_a_killed_worker_is_an_error_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dataset(write_set(tmp_path / "set", coco_file(200)), extract_workers=2)
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    out.mkdir()
    made.fetch(raw)
    append = tensors.Writer.append

    def kill_the_workers(*arguments: Any) -> None:
        for process in multiprocessing.active_children():
            process.kill()
        append(*arguments)

    monkeypatch.setattr(tensors.Writer, "append", kill_the_workers)
    with pytest.raises(InputError, match="a worker process was killed"):
        made.write_tensors(raw, out)
    assert not list(out.iterdir())
    monkeypatch.undo()
    dataset(tmp_path / "set", extract_workers=1).write_tensors(raw, out)
    assert members(json.loads((out / "extract.json").read_text())) == 200


def test_a_zip_of_images_and_a_pattern_with_any_field_work(tmp_path: Path, server: Server) -> None:
    file = coco_file()
    folder = write_set(tmp_path / "set", file)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in (folder / "all").iterdir():
            archive.write(path, f"all/{path.name}")
    for record in file["images"]:
        body = (folder / "all" / record["file_name"]).read_bytes()
        server.files[f"/{record['site']}/{record['id']}"] = body
    accounts = [
        run(dataset(folder, images=where), tmp_path / str(index))
        for index, where in enumerate((str(folder), str(tmp_path / "images.zip"), server.url + "/{site}/{id}"))
    ]
    assert accounts[0] == accounts[1] == accounts[2]


def test_missing_splits_are_drawn_by_the_seed_from_the_only_one(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file(40))
    account = run(dataset(folder), tmp_path / "a")
    assert {split: part["kept"] for split, part in account["splits"].items()} == {"train": 28, "val": 4, "test": 8}
    ids = {split: tensors.read(tmp_path / "a/out" / f"{split}.safetensors").ids for split in ("train", "val", "test")}
    assert len({i for split in ids.values() for i in split}) == 40
    run(dataset(folder, seed=1), tmp_path / "b")
    assert tensors.read(tmp_path / "b/out/test.safetensors").ids != ids["test"]


def test_fewer_images_are_a_part_of_more(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file(40))
    run(dataset(folder), tmp_path / "all")
    account = run(dataset(folder, max_images={"train": 5}), tmp_path / "few")
    assert account["splits"]["train"]["left_out"] == {"not_drawn": 23}
    few, every = (tensors.read(tmp_path / name / "out/train.safetensors").ids for name in ("few", "all"))
    assert set(few) < set(every)


def damaged_set(tmp_path: Path) -> Path:
    """Images 1 to 9 each wrong in another way."""
    file = coco_file(30)
    folder = write_set(tmp_path / "set", file)
    pictures = folder / "all"
    (pictures / "0001.png").unlink()
    (pictures / "0002.png").write_bytes(b"")
    (pictures / "0003.png").write_bytes(b"GIF? no")
    whole = (pictures / "0004.png").read_bytes()
    (pictures / "0004.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (33, 32)).save(pictures / "0005.png")
    outlines = file["annotations"]
    outlines[6]["segmentation"] = [[1, 1, 2, 2]]
    outlines[7]["segmentation"] = [[1e9, 0, 1e9, 5, 0, 5]]
    outlines[8]["segmentation"] = {"size": [32, 32], "counts": [3, 4]}
    outlines[9]["segmentation"] = [[4, 4, 4, 4, 4, 4]]
    (folder / "annotations/instances_all.json").write_text(json.dumps(file))
    return folder


REASONS = {
    1: "missing",
    2: "empty_file",
    3: "not_an_image",
    4: "damaged",
    5: "size_disagrees",
    6: "bad_polygon",
    7: "polygon_outside_image",
    8: "bad_rle",
    9: "no_area",
}


def test_what_cannot_be_read_is_left_out_counted_and_listed(tmp_path: Path) -> None:
    account = run(dataset(damaged_set(tmp_path)), tmp_path / "a")
    assert {entry["id"]: entry["reason"] for entry in account["unreadable"]} == REASONS
    assert members(account) == members(account, "annotations") == 30


def test_more_than_max_unreadable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"more than extract.max_unreadable .*\(.*\)"):
        run(dataset(damaged_set(tmp_path), extract_max_unreadable=8), tmp_path / "a")


def test_one_annotation_file_is_not_read_for_two_splits(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file())
    file = folder / "annotations/instances_all.json"
    with pytest.raises(InputError, match=r"all.json: is read for train and for test; put {split} into"):
        run(dataset(folder, annotations=str(file), test="test"), tmp_path / "a")


def test_a_folder_of_images_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file())
    with pytest.raises(InputError, match=r"pictures: no such folder"):
        run(dataset(folder, images=str(tmp_path / "pictures")), tmp_path / "a")


def test_more_than_max_missing_is_an_error_of_the_download(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0001.png is missing; 1 such images, more than 0"):
        run(dataset(damaged_set(tmp_path), max_missing=0), tmp_path / "a")


def test_an_image_the_server_lacks_is_listed(tmp_path: Path, server: Server) -> None:
    where = official(server, write_set(tmp_path / "set", coco_file()), ("all",))
    del server.files["/all/0003.png"]
    account = run(dataset("", **where), tmp_path / "a")
    assert [(entry["id"], entry["reason"]) for entry in account["unreadable"]] == [(3, "missing")]


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "C:\\x.png"])
def test_a_zip_with_names_that_lead_out_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_set(tmp_path / "set", coco_file())
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(InputError, match="unsafe name"):
        run(dataset(folder, images=str(tmp_path / "images.zip")), tmp_path / "a")


def test_a_damaged_zip_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"cut\.zip: neither a folder nor a whole zip or tar archive"):
        run(dataset(tmp_path / "cut.zip"), tmp_path / "a")


CENTRAL, FLAGS, SIZE = b"PK\x01\x02", 8, 24  # a zip's directory entry, and where in it these fields are


def zipped(path: Path, folder: Path, field: int, value: bytes) -> str:
    """A zip of the set's annotations and images with one field of every directory entry overwritten."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    content = bytearray(path.read_bytes())
    entry = content.find(CENTRAL)
    while entry >= 0:
        content[entry + field : entry + field + len(value)] = value
        entry = content.find(CENTRAL, entry + 1)
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("field", "value", "message", "reason"),
    [
        (FLAGS, b"\x01\x00", "password required", "damaged"),
        # Says that it unpacks to 9 bytes and holds more: no more than these are unpacked.
        (SIZE, b"\x09\x00\x00\x00", "Bad CRC", "damaged"),
        # Says that it unpacks to 4 GiB. That would do for annotations, had these not ended sooner.
        (SIZE, b"\xff\xff\xff\xff", "", "too_large"),
    ],
)
def test_an_encrypted_zip_and_a_zip_bomb_are_refused(
    tmp_path: Path, field: int, value: bytes, message: str, reason: str
) -> None:
    folder = write_set(tmp_path / "set", coco_file())
    hostile = zipped(tmp_path / "a.zip", folder, field, value)
    if message:
        with pytest.raises(InputError, match=rf"a\.zip: .*all.json is damaged or encrypted: .*{message}"):
            run(dataset(folder, annotations=hostile), tmp_path / "a")
    with pytest.raises(InputError, match=rf"a\.zip: 0000.png is {reason}; 9 such images, more than 8"):
        run(dataset(folder, images=hostile, max_missing=8), tmp_path / "b")
    with pytest.raises(InputError, match=rf"no image of train is left: {{'{reason}': 9}}"):
        run(dataset(folder, images=hostile, max_missing=9), tmp_path / "c")


def test_annotations_that_would_unpack_to_more_than_any_real_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_JSON", 1000)  # a real bomb of 4 GiB takes 4 MB and a minute to make
    hostile = zipped(tmp_path / "a.zip", write_set(tmp_path / "set", coco_file()), FLAGS, b"")
    with pytest.raises(InputError, match=r"a\.zip: annotations/instances_all.json would unpack to more than"):
        run(dataset(tmp_path / "set", annotations=hostile), tmp_path / "a")


def test_nothing_selected_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image is selected .*small_box: 12"):
        run(dataset(write_set(tmp_path / "set", coco_file()), min_box=17), tmp_path / "a")


def test_binary_planes_hold_every_class(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", coco_file())
    run(dataset(folder, extract_planes="binary"), tmp_path / "a")
    store = tensors.read(tmp_path / "a/out/train.safetensors")
    assert store.classes == ("foreground",)
    assert store.masks.shape[1] == 1
    assert store.masks.any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("link", ["image", "split", "annotations"])
@pytest.mark.parametrize("pattern", ["", "/{split}/{file_name}"])
def test_a_link_that_leads_out_of_the_source_is_not_followed(tmp_path: Path, link: str, pattern: str) -> None:
    source = write_set(tmp_path / "set", coco_file())
    inner = {"image": "all/0003.png", "split": "all", "annotations": "annotations/instances_all.json"}[link]
    (source / inner).rename(tmp_path / "outside")
    (source / inner).symlink_to(tmp_path / "outside")
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match=r"is a link that leads out of .*/set: refused; put a copy") as caught:
        dataset(source, images=f"{source}{pattern}").fetch(tmp_path / "raw")
    assert len(str(caught.value).splitlines()) == 1


def test_a_source_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    write_set(tmp_path / "set", coco_file())
    (tmp_path / "link").symlink_to("set")
    assert run(dataset(tmp_path / "link"), tmp_path)["source_images"] == 12
