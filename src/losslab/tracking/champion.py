"""The champion of a data set in MLflow's model registry: the leader of the verdict, of several networks the best one's.

A champion of other settings or other code, which the verdict does not know of, stays until one follows that is neither
worse nor less certain on the same test set. It is registered as `losslab-DATASET` with the alias `champion`, in
PyTorch's export format (pt2): a graph and its weights, which need no code of this project and no unpickling.
"""

import tempfile
import warnings
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from losslab.data import tensors
from losslab.evaluation.metrics import METRICS
from losslab.results import history, paths
from losslab.results.files import digest
from losslab.results.runs import Run
from losslab.results.standings import RANKED_BY, Standing, Verdict
from losslab.settings.plans import Cell
from losslab.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIAS = "champion"


class NotExportable(Exception):
    """torch.export cannot make a graph of the network."""


def choose(
    cells: Mapping[Cell, Sequence[Run]], rows: Sequence[Standing], verdicts: Sequence[Verdict]
) -> tuple[Run, Standing] | None:
    """The run to register and its row of the leaderboard: among the leaders with each network the one with the highest
    ranking score, among its seeds the one with the best validation mIoU; none if no verdict has a leader.

    Args:
        cells: the runs of each cell of one data set.
        rows: the data set's part of the leaderboard.
        verdicts: the data set's verdicts, one for each network.
    """
    leaders = {(verdict.network, verdict.leader) for verdict in verdicts}
    ranked = [row for row in rows if row.decisive and row.mean is not None and (row.network, row.loss) in leaders]
    if not ranked:
        return None
    best = max(ranked, key=lambda row: row.mean or 0.0)
    miou: dict[int, float] = {}
    cell = Cell(best.dataset, best.network, best.loss)
    for line in history.read(paths.history_file(cell)):
        if line.split == "val" and line.metric in history.JUDGED_BY:
            miou[line.seed] = max(line.value, miou.get(line.seed, 0.0))
    candidates = [run for run in cells[cell] if paths.model_file(run.cell, run.seed).is_file()]
    return (max(candidates, key=lambda run: miou.get(run.seed, 0.0)), best) if candidates else None


def reigning(client: "MlflowClient", run: Run, row: Standing, present: Container[str]) -> str | None:
    """The MLflow run of a champion that `run` may not follow; none where it may.

    Args:
        client: of the store.
        run: the verdict's choice.
        row: its row of the leaderboard.
        present: keys of the runs that the verdict is about.
    """
    name, new = _model_name(run), _certainty(run, row)
    for version in client.search_model_versions(f"name = '{name}'"):
        old = version.tags
        if ALIAS not in client.get_model_version(name, version.version).aliases:
            continue
        if old.get("test_md5") != new["test_md5"] or old.get("run_key") in present:
            return None
        worse = any(float(new[end]) < float(old[end]) for end in ("mean", "low"))
        less_certain = int(new["seeds"]) == 1 < int(old["seeds"])  # its interval covers images only
        return str(version.run_id) if worse or less_certain else None
    return None


def register(client: "MlflowClient", experiment: str, run_id: str, run: Run, row: Standing) -> None:
    """Make `run`'s model the champion, adding a version only if there is none of the same bytes.

    Raises:
        NotExportable: the network cannot be exported.
        MlflowException: whatever MLflow has to say.
    """
    name, md5 = _model_name(run), digest(paths.model_file(run.cell, run.seed))
    with store.lock("mlflow.db.champion", turns=10):  # exporting takes its time, and trainings need not wait for it
        versions = client.search_model_versions(f"name = '{name}'")
        version = next((one for one in versions if one.tags.get("model_md5") == md5), None)
        if version is None:
            version = _add_version(client, experiment, run_id, run, row, md5)
        for tag, value in _certainty(run, row).items():
            if version.tags.get(tag) != value:  # more seeds, say
                client.set_model_version_tag(name, version.version, tag, value)
        if ALIAS not in client.get_model_version(name, version.version).aliases:
            client.set_registered_model_alias(name, ALIAS, version.version)


def _certainty(run: Run, row: Standing) -> dict[str, str]:
    """How good and how certain, on which test set: what a champion is compared by."""
    return {
        "test_md5": digest(paths.split_file(run.cell.dataset, "test")),
        "run_key": run.key,
        "mean": f"{row.mean:.6f}",
        "low": f"{row.low:.6f}",
        "seeds": str(row.seeds),
        "verdict": row.verdict,
    }


def _model_name(run: Run) -> str:
    return f"losslab-{run.cell.dataset}"


def _add_version(client: "MlflowClient", experiment: str, run_id: str, run: Run, row: Standing, md5: str) -> Any:
    name = _model_name(run)
    metric = METRICS[RANKED_BY]
    mean, low, high = (metric.text(value) for value in (row.mean, row.low, row.high))
    with tempfile.TemporaryDirectory() as folder:
        # Exported first: nothing is left half registered if that fails.
        draft = Path(folder, "model")
        decision = _export(run, run_id, draft)
        model = client.create_logged_model(
            experiment, name=f"{run.cell.network}-{run.cell.loss}", source_run_id=run_id, model_type="segmentation"
        )
        _name(draft, model.model_id, model.artifact_location)
        client.log_model_artifacts(model.model_id, str(draft))
        client.finalize_logged_model(model.model_id, "READY")
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=f"The best network so far for {run.cell.dataset}, by losslab.")
    return client.create_model_version(
        name,
        f"models:/{model.model_id}",
        run_id,
        tags={
            "model_md5": md5,
            "dataset": run.cell.dataset,
            "network": run.cell.network,
            "loss": run.cell.loss,
            "seed": str(run.seed),
        }
        | _certainty(run, row),
        description=f"{run.cell.network} trained with {run.cell.loss}, seed {run.seed}. Over {row.seeds} seeds, test "
        f"{metric.title} is {mean} (interval {low} to {high}). uint8 RGB images [N, 3, H, W] → probabilities "
        f"[N, C, H, W]; a pixel is of {decision}.",
        model_id=model.model_id,
    )


def _export(run: Run, run_id: str, folder: Path) -> str:
    """Write the model in MLflow's format, uint8 images in and probabilities out; which class its pixels are of."""
    import mlflow.pytorch
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    from losslab.inference import model_file

    loaded = model_file.load(paths.model_file(run.cell, run.seed), torch.device("cpu"))
    images = np.asarray(tensors.read(paths.split_file(run.cell.dataset, "test")).images[:2])
    # Two images: of one, the exported graph would take one for ever.
    example: NDArray[np.uint8] = np.resize(images, (2, *images.shape[1:]))
    classes, (height, width) = len(loaded.classes), example.shape[2:]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, 3, height, width))]),
        Schema([TensorSpec(np.dtype(np.float32), (-1, classes, height, width))]),
    )
    decision = {"exclusive": True} if loaded.exclusive else {"threshold": loaded.threshold}
    metadata = {"classes": list(loaded.classes), **decision, "loss": run.cell.loss, "seed": run.seed}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own archive
            mlflow.pytorch.save_model(
                model_file.Probabilities(loaded).eval(),
                folder,
                mlflow_model=Model(run_id=run_id),
                serialization_format="pt2",
                input_example=example,
                signature=signature,
                metadata=metadata,
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", f"numpy=={np.__version__}"],
            )
    except Exception as error:  # torch.export raises what it likes
        raise NotExportable(" ".join(str(error).split())[:200]) from error
    if loaded.exclusive:
        return "the class that is most probable"
    return f"a class where its probability is at least {loaded.threshold}"


def _name(folder: Path, model_id: str, location: str) -> None:
    """Write into the model's own description where it now belongs."""
    from mlflow.models import Model

    description = Model.load(str(folder))
    description.model_id = description.model_uuid = model_id
    description.artifact_path = location
    description.save(str(folder / "MLmodel"))
