"""The connection to MLflow: the database at the repository root, or the server that MLFLOW_TRACKING_URI names."""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tqdm import tqdm

from losslab.results.files import atomic_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS_FOR_LOCK = 10
"""Seconds that another program may hold the database."""
SECONDS_FOR_TURN = 60.0
"""Seconds that another process of this project may hold `lock`."""
PAUSE = 0.1
"""Seconds between two attempts to have it."""

_held: set[IO[bytes]] = set()
"""The files that this process has locked."""


class Unavailable(Exception):
    """The store cannot be used now; the message says why, and what to do."""


def connect(dataset: str) -> "tuple[MlflowClient, str]":
    """A client of the store and the id of the data set's experiment, made if it is not there.

    Raises:
        Unavailable: the database is locked or damaged.
        MlflowException: whatever else MLflow has to say.
    """
    uri = address()
    if database := _database(uri):
        _check_database(database)
    return _connect(uri, dataset)


def address() -> str:
    """The store's URI."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own()


@contextmanager
def lock(what: str = "mlflow.db", turns: int = 1) -> Iterator[None]:
    """One process of this machine at a time: those that create one thing at once trip over each other.

    Raises:
        Unavailable: another process has not let go of it for `turns` × `SECONDS_FOR_TURN`.
    """
    path = _root() / f"{what}.lock"
    left = turns * SECONDS_FOR_TURN  # by pauses and not by a clock: a process that was stopped has not waited meanwhile
    with path.open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left <= 0:
                    raise Unavailable(f"{path} is held by another process of this project, which may hang") from None
                time.sleep(PAUSE)
                left -= PAUSE
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def disconnect() -> None:
    """After a failure: connect anew the next time, and hold no lock for an attempt that was given up on."""
    _connect.cache_clear()
    for file in list(_held):
        file.close()


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
        if (database := _database(uri)) and database.stat().st_size == 0:  # as SQLite leaves one that is only looked at
            with atomic_file(database) as temporary:
                # It takes seconds over its tables, and would not use them again if it were killed meanwhile.
                mlflow.MlflowClient(f"sqlite:///{temporary}").search_experiments(max_results=1)
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name(dataset)
        if experiment is not None:
            if experiment.lifecycle_stage == "deleted":  # in MLflow's pages; its name stays taken
                client.restore_experiment(experiment.experiment_id)
                tqdm.write(f"MLflow: the experiment {dataset} had been deleted; it is restored, with its runs")
            return client, experiment.experiment_id
        artifacts = (_root() / "mlartifacts" / dataset).as_uri() if uri == _own() else None
        return client, client.create_experiment(dataset, artifacts)


def is_own() -> bool:
    """Whether it is the database of this repository, which no other writes."""
    return address() == _own()


def _own() -> str:
    return f"sqlite:///{_root() / 'mlflow.db'}"


def _database(uri: str) -> Path | None:
    """The file, if it is one of SQLite; what follows a `?` are options."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:///") else None


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
