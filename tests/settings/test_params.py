"""A wrong params.yaml is refused in one line that names the path and what is allowed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from projects import ROOT, Project
from ruamel.yaml import YAML

from losslab import data, losses, networks
from losslab.errors import InputError
from losslab.settings import params
from losslab.settings.plain_yaml import read_yaml

Change = Callable[[dict[str, Any]], Any]
REGISTRIES = {"datasets": data.registry, "networks": networks.registry, "losses": losses.registry}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Change], Path]:
    def write(change: Change) -> Path:
        raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        change(raw)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(raw), encoding="utf-8")
        return path

    return write


def test_the_default_is_correct() -> None:
    assert len(params.load(REGISTRIES, ROOT / "params.yaml").grid.losses) >= 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(trian={}), "params.yaml: trian: unknown key; did you mean 'train'?"),
        (lambda p: p["train"].update(epoch=3), "train.epoch: unknown key; did you mean 'epochs'?"),
        (lambda p: p["train"].update(epochs=0), "train.epochs: 0 is not ≥ 1"),
        (lambda p: p["train"].update(epochs=True), "train.epochs: true is not a number"),
        (lambda p: p["train"].update(epochs="many"), "train.epochs: Input should be a valid integer"),
        (lambda p: p["train"].update(seeds=[0, 0]), "train.seeds: 0 is listed twice"),
        (lambda p: p["train"].update(schedule="cosine"), "train.schedule: 'cosine' is not one of 'one_cycle' or"),
        (lambda p: p["train"]["optimizer"].update(lr=-1), "train.optimizer.lr: -1 is not > 0"),
        (lambda p: p["train"]["optimizer"].update(kind="adm"), "optimizer.kind: no kind 'adm'; did you mean 'adamw'?"),
        (lambda p: p["train"]["optimizer"].update(kind=["sgd"]), "train.optimizer.kind: no kind ['sgd']; did you mean"),
        (lambda p: p["train"].pop("epochs"), "train.epochs: missing; add it"),
        (lambda p: p["grid"].update(losses=["dise"]), "grid.losses: 'dise' is not defined under losses; did you mean"),
        (lambda p: p["grid"].update(losses=[]), "grid.losses"),
        (lambda p: p["compare"].update(baseline="bec"), "baseline: 'bec' is not in grid.losses; did you mean 'bce'"),
        (lambda p: p["compare"].update(confidence=1.4), "compare.confidence: 1.4 is not < 1"),
        (
            lambda p: p["evaluate"].update(boundary_tolerance=1e308),
            "evaluate.boundary_tolerance: 1e+308 is not ≤ 16384",
        ),
        (
            lambda p: p["evaluate"].update(metrics=["betti", "cldice"]),
            "evaluate.metrics.1: 'cldice' is not one of 'cl_dice', 'components', 'betti' or 'calibration'",
        ),
        (lambda p: p["evaluate"].update(metrics=["betti", "betti"]), "evaluate.metrics: 'betti' is listed twice"),
        (lambda p: p["losses"]["dice"].update(smoth=1), "losses.dice.smoth: unknown key; did you mean 'smooth'?"),
        (lambda p: p["losses"]["dice"].update(smooth=-2), "losses.dice.smooth: -2 is not ≥ 0"),
        (lambda p: p["losses"]["dice"].update(kind="dise"), "no kind 'dise' in losslab.losses.KINDS; did you mean"),
        (lambda p: p["losses"]["dice"].pop("kind"), "losses.dice.kind: no kind ''"),
        (lambda p: p["losses"]["dice"].update(kind=["dice"]), "losses.dice.kind: no kind '['dice']'"),
        (lambda p: p["losses"]["dice"].update(kind=3), "losses.dice.kind: no kind '3'"),
        (
            lambda p: p["losses"]["mse_dice"]["terms"][1]["loss"].update(smoth=1),
            "losses.mse_dice.terms.1.loss.smoth: unknown key; did you mean 'smooth'?",
        ),
        (
            lambda p: p["losses"]["mse_dice"]["terms"][0].update(weight=float("nan")),
            "losses.mse_dice.terms.0.weight",
        ),
        (lambda p: p["networks"]["unet"].update(widht=8), "networks.unet.widht: unknown key; did you mean 'width'?"),
        (
            lambda p: p["networks"]["unet"].update(levels=4, deep_supervision=3),
            "params.yaml: networks.unet.deep_supervision: more than 2, the coarser scales that are decoded with 4",
        ),
        (lambda p: p["networks"]["unet"].update(levels=0, deep_supervision=3), "networks.unet.levels: 0 is not ≥ 1"),
        (lambda p: p["networks"]["unet"].update(classes=8), "networks.unet.classes: unknown key"),
        (lambda p: p["networks"]["unet"].update(kind="unte"), "networks.unet.kind: no kind 'unte'"),
        (lambda p: p["grid"].update(networks=["unte"]), "grid.networks: 'unte' is not defined under networks; did you"),
        (lambda p: p["datasets"]["shapes"]["extract"].update(val_images=0), "datasets.shapes.extract.val_images: 0 is"),
        (lambda p: p["datasets"]["shapes"].update(kind="shapes"), "datasets.shapes.kind: no kind 'shapes'"),
        (lambda p: p["losses"].update({"a b": {"kind": "mse"}}), "losses"),
        (lambda p: p.update(tune={"lr": [0.1, 0.01]}), "tune.lr: 0.1 to 0.01 is no range; the lower end"),
        (lambda p: p.update(tune={"trials": -1}), "tune.trials: -1 is not ≥ 0"),
        (lambda p: p.update(tune={"momentum": [0.9]}), "tune.momentum: train.optimizer is adamw, which"),
        (lambda p: p.update(tune={"options": {"dise": {}}}), "options: 'dise' is not defined under losses; did"),
        (lambda p: p.update(tune={"options": {"dice": {"smoth": [0, 1]}}}), "tune.options.dice.smoth: unknown key"),
        (lambda p: p.update(tune={"options": {"dice": {"smooth": [-1, 1]}}}), "options.dice.smooth: -1.0 is not ≥ 0"),
        (lambda p: p["grid"].update(seeds={"shapes/unet/dice": 2}), "seeds: shapes/unet/dice: 2 is less than the 3"),
        (lambda p: p["grid"].update(seeds={"shapes/unet/dise": 9}), "'dise' is not defined under losses; remove it"),
        (lambda p: p["grid"].update(seeds={"unet/dice": 9}), "grid.seeds.unet/dice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(written: Callable[[Change], Path], change: Change, message: str) -> None:
    with pytest.raises(InputError) as caught:
        params.load(REGISTRIES, written(change))
    assert message in str(caught.value)
    assert str(caught.value).startswith("params.yaml: ") or "/params.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["grid: [", "just words", "", "- 1\n- 2\n", "\x00"])
def test_what_is_not_a_params_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        params.load(REGISTRIES, path)


def test_a_file_without_end_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"params\.yaml: not valid YAML: it has more than 1048576 characters$"):
        params.load(REGISTRIES, tmp_path / "params.yaml")


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        LAUGHS + "train: {keep: *a11}",
        "a: &a [*a]",
        "a: " + "[" * 10_000,
        "a: " + "[" * 60 + "]" * 60,
        "a: " + "9" * 10_000,
        "a: 2001-99-99",
        "a: !!python/object/apply:os.mkdir [owned]",
    ],
    ids=["laughs", "laughs in an error", "cycle", "deep", "too deep", "long number", "no date", "code"],
)
def test_a_hostile_file_is_one_line_and_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="not valid YAML: ") as caught:
        params.load()
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600
    assert not Path("owned").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", "a\n", "", "é"])
def test_names_are_no_paths(written: Callable[[Change], Path], name: str) -> None:
    for kind in ("losses", "datasets", "networks"):
        with pytest.raises(InputError, match=f"{kind}"):
            params.load(path=written(lambda p, kind=kind: p[kind].update({name: {"kind": "mse"}})))  # type: ignore[misc]
    with pytest.raises(InputError, match=r"grid\.losses"):
        params.load(path=written(lambda p: p["grid"]["losses"].append(name)))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "", "*.gz"])
def test_files_of_a_data_set_lie_in_its_folder(written: Callable[[Change], Path], name: str) -> None:
    with pytest.raises(InputError, match=r"datasets\.shapes\.download\.test_file"):
        params.load(REGISTRIES, written(lambda p: p["datasets"]["shapes"]["download"].update(test_file=name)))


def test_what_is_left_out_has_its_default_and_what_is_written_out_is_the_same(
    written: Callable[[Change], Path],
) -> None:
    short = params.load(REGISTRIES, written(lambda p: p["losses"].update(dice={"kind": "dice"})))
    written_out = {"kind": "dice", "smooth": 1, "reduce": "batch", "empty": "count"}
    long = params.load(REGISTRIES, written(lambda p: p["losses"].update(dice=written_out)))
    assert short == long
    assert short.losses["dice"] == {
        "kind": "dice",
        "activation": None,
        "smooth": 1.0,
        "reduce": "batch",
        "empty": "count",
        "include_background": False,
        "class_weights": "none",
    }


def test_nothing_works_before_all_is_checked(project: Project) -> None:
    project.set(lambda p: p["train"].update(epoch=3))
    done = project.stage("plan")
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: train.epoch: unknown key")
    for stage, *names in (("download", "shapes"), ("compare",)):
        done = project.stage(stage, *names)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: results/plan/{'/'.join((stage, *names))}.json: not found")
    assert not (project.root / "results").exists()
    assert not (project.root / "data").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "epochs: 10",
            "epochs: 010",
            "010 means different things to different readers of YAML; write a number without",
        ),
        ("epochs: 10", "epochs: 0o10", "0o10 means different things"),
        ("epochs: 10", "epochs: 1:30", '1:30 means different things to different readers of YAML; write "1:30" for a'),
        ("epochs: 10", "epochs: 1_000", "1_000 means different things to different readers of YAML; write a number"),
        ("lr: 0.004", "lr: 0_1.5", "0_1.5 means different things"),
        ("lr: 0.004", "lr: 6e0_6", "6e0_6 means different things"),
        ("lr: 0.004", "lr: .4e-2", ".4e-2 means different things"),
        ("lr: 0.004", "lr: +.5", "+.5 means different things"),
        ("flips: true", "flips: yes", 'yes means different things to different readers of YAML; write true, false, or'),
        ("baseline: bce", "baseline: on", "on means different things"),
        ("  - bce\n", "  - NO\n", "NO means different things"),
        ("epochs: 10", "epochs: 10\n  epochs: 7", "the key epochs is given twice; remove one"),
        ("report:", "train:\n  epochs: 3\nreport:", "the key train is given twice; remove one"),
    ],
)  # fmt: skip
def test_what_two_readers_of_yaml_read_differently_is_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.load(REGISTRIES, path)
    assert re.search(rf"params\.yaml: not valid YAML: line \d+: {re.escape(message)}", str(caught.value))
    assert len(str(caught.value).splitlines()) == 1


def test_what_has_one_meaning_is_read_as_dvc_reads_it() -> None:
    lines = ["1e-3", "-1.5E+3", "1.0e3", "0", "10", "-7", "0.5", "0x1f", "true", "'010'", '"yes"', "bce_dice", "a_b",
             "c_e", "2017", "1.0", "~", "null", "../a_1/b", "train2017", "{id}_mask.gif", "dlstudio==1.0.9", "none",
             "e3", "'1_000'", "only", "offset", "3a_4"]  # fmt: skip
    text = "".join(f"- {json.dumps(line) if line[0] in '{' else line}\n" for line in lines)
    assert read_yaml(text) == YAML(typ="safe", pure=True).load(text)
    assert read_yaml("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2") == {"a": {"b": 1}, "c": {"b": 2}}


@given(st.text("0123456789..eE+-_:xob", min_size=1, max_size=7))
@example(".5e3")
@example("-_")
def test_a_plain_scalar_is_what_dvc_reads_or_is_refused(scalar: str) -> None:
    try:
        value = read_yaml(f"a: {scalar}")
    except (ValueError, yaml.YAMLError):
        return
    assert repr(value) == repr(YAML(typ="safe", pure=True).load(f"a: {scalar}"))


@pytest.mark.parametrize("recipe", [ROOT / "params.yaml", *sorted(ROOT.glob("recipes/*.yaml"))], ids=lambda p: p.name)
def test_the_projects_own_files_have_one_meaning(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    assert read_yaml(text) == YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("axis", ["datasets", "networks", "losses"])
def test_names_that_differ_in_case_only_are_one_line(written: Callable[[Change], Path], axis: str) -> None:
    def change(raw: dict[str, Any]) -> None:
        name, spec = next(iter(raw[axis].items()))
        raw[axis] = {name: spec, name.upper(): spec} | raw[axis]

    with pytest.raises(InputError, match=rf"^params\.yaml: {axis}: '\w+' and '\w+' differ in case only; rename one$"):
        params.load(REGISTRIES, written(change))
