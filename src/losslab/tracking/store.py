"""The connection to MLflow: the database at the repository root, or the server that MLFLOW_TRACKING_URI names."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS_FOR_LOCK = 10


class Unavailable(Exception):
    """The store cannot be used now; the message says why, and what to do."""


def connect(dataset: str) -> "tuple[MlflowClient, str]":
    """A client of the store and the id of the data set's experiment, made if it is not there.

    Raises:
        Unavailable: the database is locked or damaged.
        MlflowException: whatever else MLflow has to say.
    """
    uri = address()
    if uri.startswith("sqlite:///"):
        _check_database(Path(uri.removeprefix("sqlite:///")))
    return _connect(uri, dataset)


def address() -> str:
    """The store's URI."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own()


@contextmanager
def lock() -> Iterator[None]:
    """One process of this machine at a time: those that create one thing at once trip over each other."""
    with (_root() / "mlflow.db.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def _connect(uri: str, dataset: str) -> "tuple[MlflowClient, str]":
    # A server that is down is noticed in seconds, not after MLflow's minutes of retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent anywhere that the user did not name
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    # MLflow's registry asks the store that is set for the process, whatever its client was given. This sets the
    # variable too: whether the database is our own is told by where it is.
    mlflow.set_tracking_uri(uri)
    with lock():
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name(dataset)
        if experiment is not None:
            return client, experiment.experiment_id
        artifacts = (_root() / "mlartifacts" / dataset).as_uri() if uri == _own() else None
        return client, client.create_experiment(dataset, artifacts)


def is_own() -> bool:
    """Whether it is the database of this repository, which no other writes."""
    return address() == _own()


def _own() -> str:
    return f"sqlite:///{_root() / 'mlflow.db'}"


def _root() -> Path:
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def _check_database(path: Path) -> None:
    """Ask SQLite whether the database can be written: MLflow would try for minutes before it says that it cannot."""
    try:
        with closing(sqlite3.connect(path, timeout=SECONDS_FOR_LOCK)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
            database.rollback()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise Unavailable(f"{path} is locked by another program: close that program") from None
        if isinstance(error, sqlite3.OperationalError):
            raise Unavailable(f"{path}: {error}: see to its folder and rights") from None
        raise Unavailable(f"{path} is damaged ({error}): move it away, and it is made anew") from None
