"""What re-runs: an edit of the real tree, or of params.yaml → the stage instances whose plan changes, and no other.

DVC runs an instance when its plan changes (or the outputs of another stage that it reads), so the plans before and
after an edit are compared, each made by the code of its own tree. `test_pipeline.py` shows that DVC does as told.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT, Project, edit, new_project

ALL = ["download", "extract", "train", "evaluate", "compare", "report"]
TRAINED = ["train", "evaluate"]
SHOWN = [*TRAINED, "report"]
"""The report says which code each cell was trained with."""
DICE = ["train/*dice", "evaluate/*dice", "report"]
NOTHING: list[str] = []

KEPT = "pipeline.fingerprints"
"""Stays, for it remembers the syntax trees of sources that it has seen."""

END = ""
"""In place of a text to be replaced: a statement is added at the end."""
STATEMENT = "EDITED = 1\n"


def settings(params: dict[str, Any]) -> None:
    """Two data sets, two networks, three losses of which two use Dice; a default that nobody spells out."""
    coco = yaml.safe_load((ROOT / "recipes/coco256.yaml").read_text(encoding="utf-8"))["datasets"]
    params["datasets"] = {"shapes": params["datasets"]["shapes"], "coco": coco["coco256"]}
    params["networks"] |= {"pooled": {"kind": "pool_upsample"}}
    params["losses"]["dice"] = {"kind": "dice"}
    params["grid"] = {
        "datasets": ["shapes", "coco"],
        "networks": ["unet", "pooled"],
        "losses": ["bce", "dice", "ce_dice"],
    }
    params["report"] = {}
    del params["evaluate"]["boundary_tolerance"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("tree"))
    project.set(settings)
    return project


@pytest.fixture(scope="module")
def before(tree: Project) -> dict[str, str]:
    return planned(tree.root)


def planned(root: Path) -> dict[str, str]:
    """Instance, such as `train/shapes/unet/dice` → its plan, by the code of the tree at `root`."""
    with _modules_of(root):
        from losslab import data, losses, networks
        from losslab.settings import params
        from pipeline import plan
        from pipeline.fingerprints import Project as Tree

        assert Path(plan.__file__).is_relative_to(root)
        registries = {"datasets": data.registry, "networks": networks.registry, "losses": losses.registry}
        checked = params.load(registries, root / "params.yaml")
        plans = plan.plans(checked, Tree([root / "src", root]))
    return {str(path.relative_to(plan.FOLDER).with_suffix("")): made.text() for path, made in plans.items()}


@contextmanager
def _modules_of(root: Path) -> Iterator[None]:
    """Import the project from `root`; this process's own modules come back in the end."""

    def taken() -> dict[str, Any]:
        names = [n for n in sys.modules if n.split(".")[0] in ("losslab", "pipeline") and n != KEPT]
        return {name: sys.modules.pop(name) for name in names}

    ours, path = taken(), sys.path.copy()
    sys.path[:0] = [str(root / "src"), str(root)]
    try:
        yield
    finally:
        taken()
        sys.modules.update(ours)
        sys.path[:] = path


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Instances whose plan is another, or new."""
    return {name for name, plan in after.items() if before.get(name) != plan}


def matching(names: Any, patterns: list[str]) -> set[str]:
    """Names that fit a pattern, or lie below a folder of that name; every pattern fits something."""
    fit = {pattern: {n for n in names if fnmatch(n, pattern) or fnmatch(n, f"{pattern}/*")} for pattern in patterns}
    assert all(fit.values()), fit
    return set().union(*fit.values())


SOURCES = {
    # words
    "a comment": ("losses/overlap/dice.py", "import dataclass\n", "import dataclass  # another word\n", NOTHING),
    "a docstring": ("training/loop.py", '"""', '"""Another word. ', NOTHING),
    # data
    "connections of the HTTP client": ("data/sources/http.py", "CONNECTIONS = 8", "CONNECTIONS = 4", ["download"]),
    "the package index": ("data/sources/packages.py", END, STATEMENT, ["download/shapes"]),
    "COCO's JSON reader": ("data/coco/annotations.py", END, STATEMENT, ["download/coco", "extract/coco"]),
    "how COCO's images are chosen": ("data/coco/selection.py", END, STATEMENT, ["download/coco", "extract/coco"]),
    "where COCO's images come from": ("data/coco/sources.py", END, STATEMENT, ["download/coco"]),
    "how COCO's outlines are drawn": ("data/coco/outlines.py", END, STATEMENT, ["extract/coco"]),
    "how photographs are decoded": ("data/photos.py", END, STATEMENT, ["extract/coco"]),
    "how splits are written": ("data/extraction.py", END, STATEMENT, ["extract"]),
    "worker processes": ("data/workers.py", END, STATEMENT, ["extract/coco"]),
    "shapes": ("data/purdue_shapes.py", END, STATEMENT, ["download/shapes", "extract/shapes"]),
    "a data set that the grid lacks": ("data/mask_files/flowers17.py", END, STATEMENT, NOTHING),
    "archives": ("data/sources/archives.py", END, STATEMENT, ["download", "extract"]),
    "tensors": ("data/tensors.py", END, STATEMENT, ["extract", *SHOWN]),
    # losses
    "a guard in the registry of losses": (
        "losses/__init__.py",
        "    return registry.build({",
        '    assert kind != ""\n    return registry.build({',
        NOTHING,
    ),
    "a kind added": ("losses/__init__.py", "KINDS = {\n", 'KINDS = {\n    "mine": "mine:Mine",\n', NOTHING),
    "a guard in every loss": ("losses/loss.py", "        if logits.ndim", "        assert True\n        if logits.ndim",
                              SHOWN),
    "Dice": ("losses/overlap/dice.py", "wrong = fp + fn", "wrong = 1.5 * (fp + fn)", DICE),
    "a default of a loss": ("losses/shared/overlap.py", "= 1.0\n", "= 2.0\n", [*DICE, "compare"]),
    "what overlaps share": ("losses/shared/overlap.py", END, STATEMENT, DICE),
    "a sum of losses": ("losses/compound/sum.py", END, STATEMENT, ["train/*ce_dice", "evaluate/*ce_dice", "report"]),
    "a loss that the grid lacks": ("losses/pixel/focal.py", END, STATEMENT, NOTHING),
    # networks
    "a network": ("networks/pool_upsample.py", END, STATEMENT, ["train/*/pooled", "evaluate/*/pooled", "report"]),
    "a guard in the registry of networks": (
        "networks/__init__.py",
        "    return registry.build({",
        '    assert kind != ""\n    return registry.build({',
        NOTHING,
    ),
    # training, inference, evaluation
    "the training loop": ("training/loop.py", END, STATEMENT, ["train", "report"]),
    "checkpoints": ("results/checkpoints.py", END, STATEMENT, ["train", "report"]),
    "tuning": ("training/tuning.py", END, STATEMENT, NOTHING),
    "devices": ("inference/devices.py", END, STATEMENT, SHOWN),
    "prediction of photographs": ("inference/predict.py", END, STATEMENT, NOTHING),
    "boundaries": ("evaluation/boundaries.py", END, STATEMENT, ["evaluate"]),
    "pixel counts, by which training keeps a model": ("evaluation/pixel_counts.py", END, STATEMENT, SHOWN),
    "a metric that is not asked for": ("evaluation/extra/components.py", END, STATEMENT, NOTHING),
    "which metrics there are": ("evaluation/metrics.py", END, STATEMENT, ["compare", "report"]),
    # comparison, report
    "resampling": ("comparison/resampling.py", END, STATEMENT, ["compare"]),
    "the leaderboard": ("comparison/leaderboard.py", END, STATEMENT, ["compare"]),
    "the verdict": ("comparison/verdict.py", END, STATEMENT, ["compare"]),
    "the verdict in words, some of which are the report's": (
        "comparison/headline.py", END, STATEMENT, ["compare", "report"],
    ),
    "a figure": ("report/figures/curves.py", END, STATEMENT, ["report"]),
    # what lies on disk
    "how files are written": ("results/files.py", END, STATEMENT, ALL),
    "tables": ("results/tables.py", END, STATEMENT, [*SHOWN, "compare"]),
    "predictions": ("results/predictions.py", END, STATEMENT, ["evaluate", "report"]),
    "a name for where outputs lie": ("results/paths.py", "TUNE = ", "TRIED = TUNE = ", NOTHING),
    # what no output depends on
    "MLflow": ("tracking/sync.py", END, STATEMENT, NOTHING),
    "words for people": ("errors.py", END, STATEMENT, NOTHING),
    "the schema": ("settings/schema.py", END, STATEMENT, NOTHING),
    "how kinds are built": ("settings/registry.py", END, STATEMENT, NOTHING),
    "a default of the report": ("settings/params.py", "images: Count = 6", "images: Count = 5", ["report"]),
    "a default that evaluation takes": ("settings/params.py", "Field(le=16384)] = 2.0", "Field(le=16384)] = 3.0",
                                        ["evaluate", "report"]),
    "the command line": ("__main__.py", END, STATEMENT, NOTHING),
    "recovery": ("../../pipeline/recover.py", END, STATEMENT, NOTHING),
    "the cluster": ("../../pipeline/grid.py", END, STATEMENT, NOTHING),
    "how plans are made": ("../../pipeline/plan.py", END, STATEMENT, NOTHING),
    "a stage": ("../../pipeline/compare.py", END, STATEMENT, ["compare"]),
}  # fmt: skip


@pytest.mark.parametrize("row", SOURCES)
def test_an_edit_of_the_code(tree: Project, before: dict[str, str], row: str) -> None:
    name, old, new, expected = SOURCES[row]
    file = tree.root / "src/losslab" / name
    text = file.read_text(encoding="utf-8")
    try:
        edit(file, old, new) if old else file.write_text(f"{text}\n\n{new}", encoding="utf-8")
        assert changed(before, planned(tree.root)) == matching(before, expected)
    finally:
        file.write_text(text, encoding="utf-8")


def add(params: dict[str, Any], axis: str, name: str, entry: dict[str, Any]) -> None:
    params[axis][name] = entry
    params["grid"][axis].append(name)


SETTINGS: dict[str, tuple[Callable[[dict[str, Any]], Any], list[str]]] = {
    "a default spelled out": (
        lambda p: p["losses"].update(dice={"kind": "dice", "smooth": 1, "reduce": "batch", "empty": "count"}),
        NOTHING,
    ),
    "an option of a loss": (
        lambda p: p["losses"]["dice"].update(smooth=0.5),
        ["train/*/dice", "evaluate/*/dice", "compare", "report"],
    ),
    "a learning rate of a loss's own": (
        lambda p: p["losses"]["dice"].update(train={"lr": 0.5}),
        ["train/*/dice", "evaluate/*/dice", "compare", "report"],
    ),
    "a loss that the grid lacks": (lambda p: p["losses"]["iou"].update(smooth=0.5), ["report"]),
    "a loss added": (
        lambda p: p["grid"]["losses"].append("iou"),
        ["tune/*/iou", "train/*/iou", "evaluate/*/iou", "compare", "report"],
    ),
    "a network added": (
        lambda p: add(p, "networks", "small", {"kind": "unet", "width": 4, "levels": 2}),
        ["weights/small", "tune/*/small", "train/*/small", "evaluate/*/small", "compare", "report"],
    ),
    "an option of a network": (
        lambda p: p["networks"]["unet"].update(width=8),
        ["train/*/unet", "evaluate/*/unet", "report"],
    ),
    "a data set added": (
        lambda p: add(p, "datasets", "more", p["datasets"]["shapes"]),
        ["download/more", "extract/more", "tune/more", "train/more", "evaluate/more", "compare", "report"],
    ),
    "how a data set is fetched": (
        lambda p: p["datasets"]["coco"]["download"].update(min_box=100),
        ["download/coco", "report"],  # and "extract/coco", if other files come of it
    ),
    "how a data set is extracted": (
        lambda p: p["datasets"]["coco"]["extract"].update(image_size=64),
        ["extract/coco", "report"],
    ),
    "a seed added": (lambda p: p["train"]["seeds"].append(9), [*SHOWN, "compare"]),
    "a seed added to one cell": (
        lambda p: p["grid"].update(seeds={"shapes/unet/dice": 4}),
        ["train/shapes/unet/dice", "evaluate/shapes/unet/dice", "compare", "report"],
    ),
    "a search that tries nothing": (lambda p: p.update(tune={"lr": [0.1, 1]}), ["report"]),
    "trials": (lambda p: p.update(tune={"trials": 2}), ["tune", *SHOWN]),
    "training images drawn by each seed": (
        lambda p: (p["train"].update(resample=True), p["datasets"]["coco"]["download"].update(max_images={"train": 9})),
        ["extract/shapes", *SHOWN],  # coco has no such limit before, and all its images then
    ),
    "the learning rate": (lambda p: p["train"]["optimizer"].update(lr=0.1), SHOWN),
    "the boundary's tolerance": (lambda p: p["evaluate"].update(boundary_tolerance=3), ["evaluate", "report"]),
    "what else is measured": (lambda p: p["evaluate"].update(metrics=["betti"]), ["evaluate", "report"]),
    "the level of confidence": (lambda p: p["compare"].update(confidence=0.9), ["compare", "report"]),
    "the images of the report": (lambda p: p["report"].update(images=3), ["report"]),
}


@pytest.mark.parametrize("row", SETTINGS)
def test_an_edit_of_params(tree: Project, before: dict[str, str], row: str) -> None:
    change, expected = SETTINGS[row]
    file = tree.root / "params.yaml"
    text = file.read_text(encoding="utf-8")
    try:
        tree.set(change)
        after = planned(tree.root)
        assert changed(before, after) == matching(after, expected)
    finally:
        file.write_text(text, encoding="utf-8")


def test_the_code_of_a_metric_scores_again_where_it_is_asked_for(tree: Project) -> None:
    files = (tree.root / "params.yaml", tree.root / "src/losslab/evaluation/extra/components.py")
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    try:
        tree.set(lambda p: p["evaluate"].update(metrics=["betti"]))
        before = planned(tree.root)
        files[1].write_text(f"{texts[files[1]]}\n\n{STATEMENT}", encoding="utf-8")
        assert changed(before, planned(tree.root)) == matching(before, ["evaluate"])
    finally:
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")


def test_where_there_are_trials_tuning_is_like_training(tree: Project) -> None:
    params, loop = tree.root / "params.yaml", tree.root / "src/losslab/training/loop.py"
    texts = {file: file.read_text(encoding="utf-8") for file in (params, loop, loop.with_name("tuning.py"))}
    try:
        tree.set(lambda p: p.update(tune={"trials": 2, "options": {"dice": {"smooth": [0.1, 1]}}}))
        before = planned(tree.root)
        tree.set(lambda p: p["tune"]["options"]["dice"].update(smooth=[0.5, 1]))
        assert changed(before, planned(tree.root)) == matching(before, ["tune/*/dice", "report"])
        tree.set(lambda p: p["tune"]["options"]["dice"].update(smooth=[0.1, 1]))
        tree.set(lambda p: p["train"]["seeds"].append(9))
        assert changed(before, planned(tree.root)) == matching(before, ["train", "evaluate", "compare", "report"])
        params.write_text(texts[params], encoding="utf-8")
        tree.set(lambda p: p.update(tune={"trials": 2, "options": {"dice": {"smooth": [0.1, 1]}}}))
        for name, expected in (("tuning.py", ["tune"]), ("loop.py", ["tune", "train", "report"])):
            file = loop.with_name(name)
            file.write_text(f"{texts[file]}\n\n{STATEMENT}", encoding="utf-8")
            assert changed(before, planned(tree.root)) == matching(before, expected)
            file.write_text(texts[file], encoding="utf-8")
    finally:
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")


def test_the_report_s_web_page_is_a_dependency_that_dvc_sees() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert "src/losslab/report/web" in stages["report"]["deps"]
    assert {path.name for path in (ROOT / "src/losslab/report/web").iterdir()} >= {"template.html", "style.css"}


def test_plans_do_not_depend_on_where_the_project_lies(tree: Project, before: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(tree.root, tmp_path / "elsewhere")
    assert planned(tmp_path / "elsewhere") == before
