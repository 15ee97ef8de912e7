"""The champion of a data set: chosen over all networks and losses, registered, and served."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.pytorch
import numpy as np
import pytest
import torch
import urllib3
from mlflow_servers import free_port, serving
from projects import Project
from tracked import NAMES, logged_runs

from losslab.inference import model_file
from losslab.results import history, paths
from losslab.results.history import Row
from losslab.results.runs import Run
from losslab.results.standings import Standing, Verdict
from losslab.settings import params
from losslab.settings.plans import Cell
from losslab.tracking import champion, store, sync


def standing(
    network: str, loss: str, mean: float | None, low: float | None = None, seeds: int = 3, threshold: str = "tuned"
) -> Standing:
    """A row of the leaderboard; without a mean every seed diverged."""
    low = mean and mean - 0.1 if low is None else low
    return Standing("d", network, loss, "miou", threshold, mean, low, mean and mean + 0.1, seeds=seeds)


def verdict(network: str, leader: str | None) -> Verdict:
    return Verdict("d", network, "good enough" if leader else "undecided", leader)


def trained(network: str, loss: str, seeds: dict[int, float]) -> list[Run]:
    """Runs with these best values of validation mIoU, their models and history in the working folder."""
    cell = Cell("d", network, loss)
    for seed in seeds:
        path = paths.model_file(cell, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a model")
    rows = [
        Row(seed, epoch, epoch, "val", "miou_tuned", value)
        for seed, best in seeds.items()
        for epoch, value in ((1, best), (2, best / 2))
    ]
    history.write(paths.history_file(cell), rows)
    return [Run(cell, seed, {}, "", "", {}, f"{cell} {seed}") for seed in seeds]


def test_the_champion_is_the_leader_of_the_verdict_with_the_best_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seeds = {0: 0.5, 1: 0.7, 2: 0.6}
    cells = {Cell("d", n, o): trained(n, o, seeds) for n in ("u", "v") for o in ("a", "b")}
    rows = [
        standing("u", "a", 0.5), standing("u", "b", 0.9, 0.89, seeds=1),
        standing("v", "a", 0.7), standing("v", "b", 0.6), standing("u", "a", 0.9, threshold="fixed"),
    ]  # fmt: skip
    chosen = champion.choose(cells, rows, [verdict("u", "a"), verdict("v", "b")])
    assert chosen is not None
    assert (chosen[0].cell, chosen[0].seed) == (Cell("d", "v", "b"), 1)
    assert chosen[1].mean == 0.6, "neither the one seed that is left of u b nor v a, which the verdict passed over"
    paths.model_file(Cell("d", "v", "b"), 1).unlink()
    again = champion.choose(cells, rows, [verdict("u", "a"), verdict("v", "b")])
    assert again is not None
    assert again[0].seed == 2, "a seed without a model diverged"
    assert champion.choose(cells, rows, [verdict("u", None), verdict("v", None)]) is None


class Registry:
    """A registry that has what is added to it."""

    def __init__(self) -> None:
        self.versions: list[Any] = []

    def search_model_versions(self, query: str) -> list[Any]:
        return list(self.versions)

    def set_model_version_tag(self, name: str, version: int, tag: str, value: str) -> None:
        self.versions[version - 1].tags[tag] = value

    def get_model_version(self, name: str, version: int) -> Any:
        return self.versions[version - 1]

    def set_registered_model_alias(self, name: str, alias: str, version: int) -> None:
        self.versions[version - 1].aliases.append(alias)


def add_version(registry: Registry, run: Run, row: Standing) -> None:
    """A champion as `register` leaves it."""
    for version in registry.versions:
        version.aliases.clear()
    number = len(registry.versions) + 1
    tags = champion._certainty(run, row)
    registry.versions.append(SimpleNamespace(version=number, tags=tags, aliases=["champion"], run_id=f"run{number}"))


def test_a_champion_stays_until_one_is_neither_worse_nor_less_certain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit: 0.232 was replaced by 0.106, and three seeds at 0.691 by one at 0.669 with a shorter interval."""
    monkeypatch.chdir(tmp_path)
    test_set = paths.TENSORS / "d" / "test.safetensors"
    test_set.parent.mkdir(parents=True)
    test_set.write_bytes(b"images")
    (old,) = trained("u", "a", {0: 0.5})
    (new,) = trained("u", "b", {0: 0.5})
    versions = Registry()

    def stays(row: Standing, *, present: tuple[str, ...] = ()) -> bool:
        return champion.reigning(versions, new, row, present) == "run1"  # type: ignore[arg-type]

    assert not stays(standing("u", "b", 0.1)), "there is none yet"
    add_version(versions, old, standing("u", "a", 0.691, 0.633))
    assert stays(standing("u", "b", 0.106, 0.09)), "worse"
    assert stays(standing("u", "b", 0.669, 0.659, seeds=1)), "worse, and one seed"
    assert stays(standing("u", "b", 0.70, 0.695, seeds=1)), "one seed: its interval covers images only"
    assert stays(standing("u", "b", 0.70, 0.60)), "less certain"
    assert not stays(standing("u", "b", 0.70, 0.64))
    assert not stays(standing("u", "b", 0.60, 0.55), present=(old.key,)), "the verdict knows both"
    test_set.write_bytes(b"other images")
    assert not stays(standing("u", "b", 0.1)), "scores on other images cannot be compared"


def test_two_at_once_register_a_champion_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = trained("u", "a", {0: 0.5})
    (paths.TENSORS / "d").mkdir(parents=True)
    (paths.TENSORS / "d" / "test.safetensors").write_bytes(b"images")
    registry, both_add = Registry(), threading.Barrier(2)

    def add(*arguments: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both_add.wait(1)  # for the other, if it has got here too
        version = SimpleNamespace(version=len(registry.versions) + 1, tags={"model_md5": arguments[-1]}, aliases=[])
        registry.versions.append(version)
        return version

    monkeypatch.setattr(champion, "_add_version", add)
    tracks = [
        threading.Thread(target=champion.register, args=(registry, "1", "run", run, standing("u", "a", 0.5)))
        for _ in range(2)
    ]
    for track in tracks:
        track.start()
    for track in tracks:
        track.join()
    assert [version.aliases for version in registry.versions] == [["champion"]]


@pytest.mark.slow
def test_two_losslab_track_at_once_leave_what_one_leaves(ready: Project) -> None:
    env = {"LOSSLAB_MLFLOW": "on", "PYTHONPATH": "src"}
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ready.run, sys.executable, "-m", "losslab", "track", **env) for _ in range(2)]
    assert [one.result().returncode for one in running] == [0, 0], (
        running[0].result().stderr + running[1].result().stderr
    )
    client, experiment = store.connect("shapes")
    assert len(client.search_runs([experiment])) == len(NAMES) + 1, "and one report"
    assert len(client.search_model_versions("name = 'losslab-shapes'")) == 1


@pytest.mark.slow
def test_another_champion_is_another_version_and_the_old_one_comes_back(ready: Project) -> None:
    board = paths.LEADERBOARD
    whole = board.read_text(encoding="utf-8")
    settings = params.load()
    assert sync.everything(settings)
    client, _ = store.connect("shapes")
    first = client.get_model_version_by_alias("losslab-shapes", "champion")
    rows = json.loads(whole)
    for row in rows:
        if row["network"] != first.tags["network"] and row["metric"] == "miou":
            row.update(low=0.98, mean=0.99, high=1.0)
    board.write_text(json.dumps(rows), encoding="utf-8")
    assert sync.everything(settings)
    second = client.get_model_version_by_alias("losslab-shapes", "champion")
    assert second.tags["network"] != first.tags["network"]
    assert sum(run.data.tags.get("champion") == "true" for run in logged_runs().values()) == 1
    board.write_text(whole, encoding="utf-8")
    assert sync.everything(settings)
    assert client.get_model_version_by_alias("losslab-shapes", "champion").version == first.version
    assert len(client.search_model_versions("name = 'losslab-shapes'")) == 2


@pytest.mark.slow
def test_the_champion_serves_a_request(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the embedded database, and as one loads it from a notebook; unpickling is forbidden."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    assert sync.everything(params.load())
    client, _ = store.connect("shapes")
    version = client.get_model_version_by_alias("losslab-shapes", "champion")
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), np.uint8)
    loaded = mlflow.pytorch.load_model("models:/losslab-shapes@champion")
    wanted = loaded(torch.from_numpy(images)).detach().numpy()
    assert wanted.shape == (3, 5, 64, 64)
    cell = Cell("shapes", version.tags["network"], version.tags["loss"])
    path = paths.model_file(cell, int(version.tags["seed"]))
    model = model_file.load(path, torch.device("cpu"))
    own = model_file.Probabilities(model).eval()(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(wanted, own, atol=1e-6)

    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.address())
    command = ["models", "serve", "-m", "models:/losslab-shapes@champion", "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with serving(*command, health=f"http://127.0.0.1:{port}/ping"):
        where, inputs = f"http://127.0.0.1:{port}/invocations", {"inputs": images.tolist()}
        answer = urllib3.request("POST", where, json=inputs, timeout=300, retries=False)
    assert answer.status == 200, answer.data
    np.testing.assert_allclose(np.array(answer.json()["predictions"]), wanted, atol=1e-5)
