"""What a reviewer finds in MLflow once there is a report."""

import json

import numpy as np
from projects import Project
from tracked import DICE, LOSSES, NAMES, NETWORKS, logged_runs, points

from losslab.results import history, paths
from losslab.settings import params
from losslab.settings.plans import Cell
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
    note = report.data.tags["mlflow.note.content"].splitlines()
    assert note[0].startswith("unet: It is open between ")
    table = [line.split(" | ") for line in note if line.startswith("|")]
    assert table[0][:2] == ["| network", "loss"]
    assert {(row[0].strip("| "), row[1]) for row in table[2:]} == {(n, o) for n in NETWORKS for o in LOSSES}
    board = json.loads(paths.LEADERBOARD.read_text(encoding="utf-8"))
    leaders = {one["network"]: one["leader"] for one in json.loads(paths.VERDICTS.read_text(encoding="utf-8"))}
    tuned = {
        (row["network"], row["loss"]): row
        for row in board
        if (row["metric"], row["threshold"]) == ("miou", "tuned") and leaders[row["network"]] == row["loss"]
    }
    best = [run for run in shown.values() if run.data.tags.get("champion") == "true"]
    champion = max(tuned, key=lambda key: tuned[key]["mean"])
    assert [(run.data.tags["network"], run.data.tags["loss"]) for run in best] == [champion]
    ends = [best[0].data.metrics[f"test_miou_tuned_{end}"] for end in ("low", "high")]
    assert ends == [tuned[champion]["low"], tuned[champion]["high"]]
    curves = {
        (cell.loss, seed): dict(points(shown[f"unet-{cell.loss}-seed{seed}"], "val_miou_tuned"))
        for cell in (DICE, Cell("shapes", "unet", "bce"))
        for seed in (0, 1)
    }
    epochs = {key: dict(enumerate(curve.values(), start=1)) for key, curve in curves.items()}
    means = [np.mean([epochs[loss, seed][epoch] for seed in (0, 1)]) for loss in LOSSES for epoch in (1, 2)]
    reached = [epoch for epoch, value in epochs["dice", 0].items() if value >= 0.9 * max(means)]
    assert dice.data.metrics.get("epochs_to_90") == (reached[0] if reached else None)
    assert client.get_model_version_by_alias("losslab-shapes", "champion").run_id == best[0].info.run_id
