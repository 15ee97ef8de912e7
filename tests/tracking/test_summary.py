"""What a reviewer finds in MLflow once there is a report."""

import json

from projects import Project
from tracked import DICE, LOSSES, NAMES, NETWORKS, logged_runs, points

from losslab.results import history, paths
from losslab.settings import params
from losslab.tracking import store, sync


def test_a_reviewer_finds_everything_and_a_second_time_adds_nothing(ready: Project) -> None:
    for _ in range(2):
        assert sync.everything(params.load())
        shown = logged_runs()
        assert set(shown) == NAMES | {"report"}
        client, _ = store.connect("shapes")
        assert len(client.search_model_versions("name = 'losslab-shapes'")) == 1
    dice = shown["unet-dice-seed0"]
    rows = [row for row in history.read(paths.history_file(DICE)) if row.seed == 0]
    assert points(dice, "val_miou") == [(row.step, row.value) for row in rows if row.metric == "miou"]
    metadata = sync._metadata(paths.model_file(DICE, 0))
    assert dice.data.metrics["threshold"] == metadata["threshold"]
    assert {"test_miou_tuned", "test_dice_fixed", "test_iou_tuned_star", "test_hd95_tuned"} <= set(dice.data.metrics)
    assert {shown[f"unet-{loss}-seed0"].data.tags["verdict"] for loss in ("dice", "bce")} == {"undecided"}
    assert (dice.data.tags["loss"], dice.data.tags["seed"], dice.data.tags["stage"]) == ("dice", "0", "evaluated")
    assert {shown[name].data.tags["network"] for name in NAMES} == set(NETWORKS)
    report = shown["report"]
    artifacts = {item.path for item in client.list_artifacts(report.info.run_id)}
    assert artifacts == {"figures", "report.html"}
    folders = {item.path for item in client.list_artifacts(report.info.run_id, "figures")}
    assert folders == {f"figures/{network}" for network in NETWORKS}
    names = {item.path for item in client.list_artifacts(report.info.run_id, "figures/narrow")}
    assert "figures/narrow/leaderboard.png" in names
    variants = [
        shown[name].data.tags["variant"]
        for name in ("unet-dice-seed0", "unet-dice-seed1", "unet-bce-seed0", "narrow-dice-seed0")
    ]
    assert variants[0] == variants[1]
    assert len(set(variants)) == 3
    table = [line.split(" | ") for line in report.data.tags["mlflow.note.content"].splitlines()]
    assert table[0][:2] == ["| network", "loss"]
    assert {(row[0].strip("| "), row[1]) for row in table[2:]} == {(n, o) for n in NETWORKS for o in LOSSES}
    board = json.loads(paths.LEADERBOARD.read_text(encoding="utf-8"))
    tuned = {
        (row["network"], row["loss"]): row["low"]
        for row in board
        if (row["metric"], row["threshold"]) == ("miou", "tuned")
    }
    best = [run for run in shown.values() if run.data.tags.get("champion") == "true"]
    assert [(run.data.tags["network"], run.data.tags["loss"]) for run in best] == [
        max(tuned, key=lambda key: tuned[key])
    ]
    assert client.get_model_version_by_alias("losslab-shapes", "champion").run_id == best[0].info.run_id
