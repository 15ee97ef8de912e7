"""The same search for every loss: what is tried, what is chosen, and what train makes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import Project, new_project
from safetensors import safe_open

from losslab.data.tensors import Writer
from losslab.errors import InputError
from losslab.results import runs, tuning_table
from losslab.settings.params import SGD, AdamW, Tune
from losslab.settings.plans import TrainPlan, TunePlan
from losslab.training import tuning
from losslab.training.tuning import Trial
from pipeline import plan, train, tune

START = SGD(kind="sgd", lr=0.1, momentum=0.3)
ADAMW = AdamW(kind="adamw", lr=0.004)


def rates(tried: list[Trial]) -> list[float]:
    return [trial.optimizer.lr for trial in tried]


def test_rates_are_spread_evenly_over_the_logarithms_of_the_range() -> None:
    assert rates(tuning.trials(Tune(trials=3, lr=(0.001, 0.1)), START, {})) == [0.001, 0.01, 0.1]
    assert rates(tuning.trials(Tune(trials=5, lr=(0.001, 0.1)), START, {})) == [
        0.001, 0.00316228, 0.01, 0.0316228, 0.1
    ]  # fmt: skip


def test_without_a_range_the_rate_of_params_is_the_middle_and_the_only_one_of_a_single_trial() -> None:
    assert rates(tuning.trials(Tune(trials=3), ADAMW, {})) == [0.0004, 0.004, 0.04]
    assert tuning.trials(Tune(trials=1), ADAMW, {}) == [Trial(ADAMW)]


def test_every_loss_meets_the_same_rates_and_decays_whatever_options_it_has() -> None:
    search = Tune(trials=8, lr=(0.001, 0.1), weight_decay=(1e-4, 1), options={"tversky": {"alpha": (0.2, 0.8)}})
    plain = tuning.trials(search, ADAMW, {})
    with_options = tuning.trials(search, ADAMW, {"alpha": (0.2, 0.8)})
    assert [trial.optimizer for trial in plain] == [trial.optimizer for trial in with_options]
    # The first points of Halton's sequence: 1/2, 1/4, 3/4 in base 2; 1/3, 2/3, 1/9 in base 3; 1/5, 2/5, 3/5 in base 5.
    assert rates(plain[:3]) == [0.01, 0.00316228, 0.0316228]
    decays = [trial.optimizer.weight_decay for trial in plain[:3]]
    assert decays == pytest.approx([10 ** (4 / 3 - 4), 10 ** (8 / 3 - 4), 10 ** (4 / 9 - 4)], rel=1e-5)
    assert [dict(trial.options)["alpha"] for trial in with_options[:3]] == pytest.approx([0.32, 0.44, 0.56])
    assert all(trial.options == () for trial in plain)


def test_momentum_is_tried_at_the_best_settings_alone() -> None:
    search = Tune(trials=3, lr=(0.01, 1), momentum=(0.3, 0.9))
    asked: list[Trial] = []

    def score(trial: Trial) -> float:
        """Best at rate 0.1 and momentum 0.9."""
        asked.append(trial)
        optimizer = trial.optimizer
        assert isinstance(optimizer, SGD)
        return float(1 - abs(np.log10(optimizer.lr) + 1) - abs(optimizer.momentum - 0.9))

    best = tuning.search(tuning.trials(search, START, {}), lambda at: tuning.momenta(search, at), score)
    assert best.optimizer == SGD(kind="sgd", lr=0.1, momentum=0.9)
    assert len(set(asked)) == 4, "the best with its own momentum is not another trial"


def test_of_equals_the_first_is_best() -> None:
    first = tuning.trials(Tune(trials=3), START, {})
    assert tuning.search(first, lambda _: [], lambda _: 0.5) == first[0]


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with bright squares to find, SGD, and two trials of which the second diverges."""
    project = new_project(tmp_path)
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 8)):
        path = tmp_path / "data" / "tensors" / "shapes" / f"{split}.safetensors"
        with Writer(path, dataset="squares", classes=("square",), source="test") as writer:
            for index in range(count):
                image, mask = rng.integers(0, 80, (3, 16, 16), np.uint8), np.zeros((1, 16, 16), np.uint8)
                row, column = rng.integers(0, 10, 2)
                mask[0, row : row + 6, column : column + 6] = 1
                image += 120 * mask
                writer.append(str(index), image, mask)
    optimizer = {"kind": "sgd", "lr": 0.05, "momentum": 0.0}
    project.set(lambda p: p["train"].update(optimizer=optimizer, schedule="constant"))
    project.set(lambda p: p.update(tune={"trials": 2, "seeds": 2, "lr": [0.5, 1e30], "momentum": [0.5]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSLAB_MLFLOW", "off")
    return project


def run(monkeypatch: pytest.MonkeyPatch, stage: Any, loss: str = "bce") -> None:
    """Plan, and run a stage as DVC does."""
    plan.main()
    monkeypatch.setattr("sys.argv", ["stage", "shapes", "unet", loss])
    stage.main()


def metadata(loss: str = "bce") -> dict[str, Any]:
    with safe_open(f"results/train/shapes/unet/{loss}/seed0.safetensors", "np") as file:
        content: dict[str, Any] = json.loads(file.metadata()["losslab"])
        return content


def test_what_is_best_on_validation_is_what_train_takes(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tune)
    folder = ready.root / "results/tune/shapes/unet/bce"
    found = tuning_table.read(folder)
    assert found is not None
    assert [(row.trial, row.lr, row.momentum, row.seed) for row in found.tried] == [
        (1, 0.5, 0.0, 1_000_000), (1, 0.5, 0.0, 1_000_001),
        (2, 1e30, 0.0, 1_000_000), (2, 1e30, 0.0, 1_000_001),
        (3, 0.5, 0.5, 1_000_000), (3, 0.5, 0.5, 1_000_001),
    ]  # fmt: skip
    assert [row.val_miou for row in found.tried if row.trial == 2] == [None, None]
    assert found.scores[2] == 0
    assert found.untuned is None, "the rate of params.yaml was not among them"
    assert found.chosen == max(found.scores, key=lambda trial: found.scores[trial])
    # The mean over seeds of each one's best epoch, which is the one that is kept.
    best = [
        max(point.value for point in found.curves if point.trial == 1 and point.seed == seed and point.metric[0] == "m")
        for seed in (1_000_000, 1_000_001)
    ]
    assert found.scores[1] == pytest.approx(np.mean(best), abs=1e-6)
    assert "best of 3 trials: lr 0.5, momentum" in capsys.readouterr().out

    run(monkeypatch, train)
    chosen = next(row for row in found.tried if row.trial == found.chosen)
    assert metadata()["train"]["optimizer"] == {
        "kind": "sgd", "lr": 0.5, "momentum": chosen.momentum, "weight_decay": 0.0
    }  # fmt: skip
    (run_of_seed,) = runs.of(TrainPlan.read("shapes", "unet", "bce"))
    assert run_of_seed.config["train"]["optimizer"]["lr"] == 0.5


def test_the_options_of_a_loss_are_chosen_too(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.set(lambda p: p.update(tune={"trials": 2, "options": {"dice": {"smooth": [0.5, 4]}}}))
    run(monkeypatch, tune, "dice")
    chosen = json.loads((ready.root / "results/tune/shapes/unet/dice/chosen.json").read_text(encoding="utf-8"))
    run(monkeypatch, train, "dice")
    assert metadata("dice")["loss"]["smooth"] == chosen["loss"]["smooth"]
    assert chosen["loss"]["smooth"] in (1.2, 1.9), "a fifth and two fifths of the way"


def test_where_all_trials_diverge_the_settings_stay_as_they_are(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready.set(lambda p: p.update(tune={"trials": 2, "lr": [1e30, 1e31]}))
    run(monkeypatch, tune)
    assert "nothing learned in any of 2 trials; the settings stay as they are" in capsys.readouterr().out
    run(monkeypatch, train)
    assert metadata()["train"]["optimizer"]["lr"] == 0.05


def test_what_was_tried_is_not_tried_again(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.set(lambda p: p["tune"].update(seeds=1, momentum=[]))
    run(monkeypatch, tune)
    checkpoints = sorted((ready.root / "checkpoints").iterdir())
    before = [path.stat().st_mtime_ns for path in checkpoints]
    content = (ready.root / "results/tune/shapes/unet/bce/curves.csv").read_bytes()
    run(monkeypatch, tune)
    assert sorted((ready.root / "checkpoints").iterdir()) == checkpoints
    assert [path.stat().st_mtime_ns for path in checkpoints] == before
    assert (ready.root / "results/tune/shapes/unet/bce/curves.csv").read_bytes() == content


def test_the_settings_of_params_are_known_among_the_trials(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.set(lambda p: p.update(tune={"trials": 3}))
    run(monkeypatch, tune)
    found = tuning_table.read(ready.root / "results/tune/shapes/unet/bce")
    assert found is not None
    assert found.untuned == 2
    assert [row.lr for row in found.tried] == [0.005, 0.05, 0.5]


def test_a_loss_with_a_rate_of_its_own_meets_the_rates_of_all(ready: Project) -> None:
    ready.set(lambda p: p.update(tune={"trials": 3}))
    ready.set(lambda p: p["losses"]["dice"].update(train={"lr": 0.2}))
    plan.main()
    bce, dice = (TunePlan.read("shapes", "unet", loss) for loss in ("bce", "dice"))
    assert bce.tune
    assert dice.tune
    assert bce.tune.lr == dice.tune.lr == (0.005, 0.5)


def test_with_no_trials_the_stage_leaves_the_settings_and_imports_no_torch(ready: Project) -> None:
    ready.set(lambda p: p.pop("tune"))
    assert ready.stage("plan").returncode == 0
    code = "import sys; sys.argv = ['tune', 'shapes', 'unet', 'bce']; from pipeline import tune; tune.main(); "
    done = ready.run("python", "-c", code + "print('torch' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
    folder = ready.root / "results/tune/shapes/unet/bce"
    assert [path.name for path in folder.iterdir()] == ["chosen.json"]
    assert tuning_table.read(folder) is None


@pytest.mark.parametrize("text", ["", "[1]", '{"optimizer": {"lr": -1}}', '{"optimizer": 3}', '{"loss": 3}'])
def test_a_damaged_choice_is_one_line(ready: Project, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    plan.main()
    chosen = ready.root / "results/tune/shapes/unet/bce/chosen.json"
    with pytest.raises(InputError, match=r"chosen\.json: not found; run `dvc repro`"):
        tuning_table.tuned(TrainPlan.read("shapes", "unet", "bce"))
    chosen.parent.mkdir(parents=True)
    chosen.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"chosen\.json: damaged") as caught:
        tuning_table.tuned(TrainPlan.read("shapes", "unet", "bce"))
    assert len(str(caught.value).splitlines()) == 1
