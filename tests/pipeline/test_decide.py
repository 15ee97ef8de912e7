"""Racing: seeds for the losses in the race, through params.yaml and a real DVC repository; verdicts made to order."""

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from coco_world import wait_for
from projects import Project, edit, new_repository

from losslab.results.standings import Verdict
from losslab.settings import params
from losslab.settings.plans import Cell
from pipeline import decide

PLANTED = """
    made = {loss: len(plan.seeds_of(Cell("shapes", "unet", loss))) for loss in plan.grid.losses}
    racing = ["dice", "bce"] if made["dice"] > 1 else ["dice", "bce", "mse"]
    over = made["dice"] >= 3
    racing, worse = (["dice"], {"bce": ["dice"]}) if over else (racing, {})
    worse |= {"mse": ["dice", "bce"]} if made["dice"] > 1 else {}
    planted = {"dataset": "shapes", "network": "unet", "verdict": "best" if over else "undecided", "leader": "dice"}
    planted |= {"contenders": racing, "worse": worse, "unreliable": {}, "regret": None, "forecast_seeds": None}
    write_json(paths.COMPARE / "verdicts.json", [planted])
"""
"""In place of what `compare` decides: mse is worse with two seeds, bce with three."""

UNDECIDED = """
    losses = list(plan.grid.losses)
    planted = {"dataset": "shapes", "network": "unet", "verdict": "undecided", "leader": losses[0]}
    planted |= {"contenders": losses, "worse": {}, "unreliable": {}, "regret": None, "forecast_seeds": None}
    write_json(paths.COMPARE / "verdicts.json", [planted])
"""
"""Nothing is ever decided: every loss races to the most seeds."""

RACED = {"shapes/unet/dice": 3, "shapes/unet/bce": 3, "shapes/unet/mse": 2}
COMMENT = "# what this is for\n"


def racing(tmp_path: Path, shapes: Path, planted: str) -> Project:
    """A small repository in which nothing has run, three losses, one seed each, and planted verdicts."""
    project = new_repository(tmp_path / "project")
    project.set(lambda p: p["datasets"]["shapes"]["download"].update(source=str(shapes)))
    project.set(lambda p: p["grid"].update(losses=["bce", "dice", "mse"]))
    project.set(lambda p: p["train"].update(epochs=1))
    stage = project.root / "pipeline/compare.py"
    edit(stage, "\n\n\nif __name__", f"{planted}\n\nif __name__")
    edit(stage, "import ComparePlan", "import Cell, ComparePlan")
    file = project.root / "params.yaml"
    file.write_text(COMMENT + file.read_text(encoding="utf-8"), encoding="utf-8")
    return project


@pytest.fixture
def repository(tmp_path: Path, shapes: Path) -> Project:
    return racing(tmp_path, shapes, PLANTED)


def checkpoints(project: Project) -> set[str]:
    return {path.name for path in (project.root / "checkpoints").glob("*.pt")}


def test_the_losses_in_the_race_get_seeds_until_it_is_decided(repository: Project, commands: Path) -> None:
    repository = replace(repository, commands=commands)
    stopped = repository.run("python", "-m", "losslab", "decide", "--budget", "1s", PYTHONPATH="src")
    assert stopped.returncode == 0, stopped.stderr
    assert "another round would go beyond --budget 1s: run it again to go on" in stopped.stdout
    assert "seeds" not in repository.params["grid"]
    assert (repository.root / "results/report.html").is_file()
    before = checkpoints(repository)
    assert len(before) == len(RACED)

    done = repository.stage("decide", "--jobs", "2", "--budget", "1h30m")
    assert done.returncode == 0, done.stderr
    assert repository.params["grid"]["seeds"] == RACED
    assert before < checkpoints(repository)
    assert len(checkpoints(repository)) == sum(RACED.values()), "no seed is trained that is not asked for"
    rounds = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith("round ")]
    assert rounds == [
        "shapes unet: undecided; in the race, with so many seeds: dice (1), bce (1), mse (1)",
        "shapes unet: undecided; in the race, with so many seeds: dice (2), bce (2); worse: mse",
        "shapes unet: dice is best; in the race, with so many seeds: dice (3); worse: bce, mse",
    ]
    assert (repository.root / "params.yaml").read_text(encoding="utf-8").startswith(COMMENT)
    assert repository.repro() == [], "what it leaves is what `dvc repro` makes of params.yaml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "2x"), "--budget: '2x' is no time such as 2h, 90m or 1h30m"),
        (("--budget", ""), "--budget: '' is no time such as 2h, 90m or 1h30m"),
        (("--most-seeds", "0"), "--most-seeds: 0 is not ≥ 1"),
        (("--most-seeds", "17"), "--most-seeds: 17 is more than compare.most_seeds, 16, which the test allows for"),
        (("--jobs", "0"), "--jobs: 0 is not ≥ 1"),
    ],
)
def test_a_wrong_option_is_one_line(monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str) -> None:
    monkeypatch.setattr(sys, "argv", ["decide", *options])
    with pytest.raises(decide.InputError) as caught:
        decide.main()
    assert str(caught.value) == message


def test_times_are_read() -> None:
    assert [decide.seconds(text) for text in ("2h", "90m", "1h30m", "1.5h", "10s")] == [7200, 5400, 5400, 5400, 10]


def test_losses_with_fewer_seeds_catch_up_first_and_none_has_more_than_the_most() -> None:
    settings = params.load()
    grid = settings.grid.model_copy(update={"seeds": {"shapes/unet/dice": 5, "shapes/unet/bce": 5}})
    settings = settings.model_copy(update={"grid": grid})

    def verdict(contenders: list[str], word: Any = "undecided") -> list[Verdict]:
        return [Verdict("shapes", "unet", word, contenders[0], contenders)]

    def cell(loss: str) -> Cell:
        return Cell("shapes", "unet", loss)

    assert decide.more_seeds(verdict(["dice", "mse"]), settings, 16) == {cell("mse"): 4}
    assert decide.more_seeds(verdict(["dice", "bce"]), settings, 16) == {cell("dice"): 6, cell("bce"): 6}
    assert decide.more_seeds(verdict(["dice", "bce"]), settings, 5) == {}
    assert decide.more_seeds(verdict(["dice", "bce"], "good enough"), settings, 16) == {}
    assert decide.more_seeds(verdict(["dice"]), settings, 16) == {}, "one loss has no rival"
    one_waits = [replace(each, waiting=["mse"]) for each in verdict(["dice", "bce", "mse"])]
    assert decide.more_seeds(one_waits, settings, 16) == {cell("dice"): 6, cell("bce"): 6}
    assert decide.in_words(one_waits[0], settings) == (
        "shapes unet: undecided; in the race, with so many seeds: dice (5), bce (5); waiting: mse (3)"
    )


def start(project: Project) -> subprocess.Popen[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")} | {"LOSSLAB_MLFLOW": "off"}
    command = [sys.executable, "-m", "pipeline.decide", "--jobs", "2"]
    return subprocess.Popen(
        command, cwd=project.root, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_what_it_would_have(repository: Project, tmp_path: Path) -> None:
    undisturbed = repository.copy(tmp_path / "undisturbed")
    assert undisturbed.stage("decide", "--jobs", "2").returncode == 0
    for trained in range(1, sum(RACED.values()) + 1):  # killed as each seed is done, from the first to the last
        driver = start(repository)
        wait_for(lambda trained=trained: len(checkpoints(repository)) >= trained, 240)  # type: ignore[misc]
        driver.kill()
        driver.wait(60)
    assert repository.stage("decide", "--jobs", "2").returncode == 0
    assert repository.params == undisturbed.params
    assert len(checkpoints(repository)) == sum(RACED.values())
    names = [yaml.safe_load((each.root / "dvc.lock").read_text()) for each in (repository, undisturbed)]
    assert names[0] == names[1]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_long_race_killed_at_random_ends_with_what_a_clone_of_it_makes(tmp_path: Path, shapes: Path) -> None:
    """Three losses to 16 seeds each: days of a real race, on a tiny set."""
    project, clone = (racing(tmp_path / name, shapes, UNDECIDED) for name in ("killed", "clone"))
    draw, kills = random.Random(0), 0
    while True:
        driver, end = start(project), time.monotonic() + (draw.uniform(2, 60) if kills < 20 else 6000)
        wait_for(lambda: driver.poll() is not None or time.monotonic() > end, 6000)  # noqa: B023
        if driver.poll() is not None:
            break
        driver.kill()
        driver.communicate(timeout=240)  # to the end of all that it started
        kills += 1
    assert driver.returncode == 0, driver.communicate()[1]
    assert kills >= 8
    assert project.params["grid"]["seeds"] == {f"shapes/unet/{loss}": 16 for loss in ("bce", "dice", "mse")}
    assert len(checkpoints(project)) == 3 * 16
    assert project.repro() == []
    assert not [path for path in project.root.rglob(".tmp-*") if ".dvc" not in path.parts]
    (clone.root / "params.yaml").write_bytes((project.root / "params.yaml").read_bytes())
    clone.repro()
    names = [yaml.safe_load((each.root / "dvc.lock").read_text()) for each in (project, clone)]
    assert names[0] == names[1]
