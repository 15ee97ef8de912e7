"""Train and evaluate the grid on the machines of a Ray cluster: `python -m pipeline.grid`, on one of them.

Each cell of the grid that is out of date is a Ray task. Where it lands, it unpacks the commit into a folder of its own,
pulls its tensors from the DVC remote, trains, evaluates, and pushes what came out with the run-cache. From there the
results are restored here, and `dvc repro` has only `compare` and `report` left to run. Ray places tasks and repeats
those of lost machines; what is out of date and what is done, DVC says.
"""

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from losslab.errors import InputError, exit_on_error
from losslab.settings import params, plans
from losslab.tracking import sync
from pipeline import NO_TELEMETRY, dvc

# What a run leaves in the working tree is not an edit: it may be run again before that is committed.
RESULTS = ("dvc.lock", "results/metrics.json")
MAX_RETRIES = 3
LOST = "it is not in the remote's run-cache"


def main() -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # while Ray waits, it lets no SystemExit through
    options = _options()
    _check_repository()
    settings = params.load()
    ray = _connect()
    task = _task(ray, settings, options)
    dvc.show("repro", "--pull", "extract", "weights")
    _restore()
    out_of_date = dvc.out_of_date()
    grid = plans.cells(settings.grid)
    cells = [cell for cell in grid if not out_of_date.isdisjoint(dvc.of_cell(cell))]
    trained = {stage for cell in cells for stage in dvc.of_cell(cell)} - out_of_date
    dvc.show("push", "--run-cache", "plan", "extract", "weights", *sorted(trained))

    commit = ray.put(_commit())
    waiting = {task.remote(commit, _before(cell), dvc.of_cell(cell), _handed_on()): cell for cell in cells}
    said = {}
    with tqdm(total=len(grid), initial=len(grid) - len(cells), desc="train, evaluate") as bar, _cancelled(ray, waiting):
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            cell = waiting.pop(done)
            try:
                said[cell] = ray.get(done)
            except ray.exceptions.RayError as error:
                said[cell] = str(error)
            if said[cell]:
                bar.write(said[cell], file=sys.stderr)
            bar.update()

    _restore()
    out_of_date = dvc.out_of_date()
    first = {cell: next((stage for stage in dvc.of_cell(cell) if stage in out_of_date), None) for cell in cells}
    if failed := [f"{stage} ({dvc.reason(said[cell]) or LOST})" for cell, stage in first.items() if stage]:
        raise InputError(f"{', '.join(failed)}; the others are done: mend it, commit, and run it again")
    dvc.show("repro")


def work(commit: bytes, before: list[str], stages: list[str], environment: dict[str, str]) -> str:
    """Run `stages` on a worker; what was printed if that failed, nothing if all went well.

    Ray sends this function by value, being of `__main__`: a worker has losslab's environment and not this file.
    """
    with TemporaryDirectory(prefix="losslab-", ignore_cleanup_errors=True) as folder:

        def failure(*arguments: str) -> str:
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            said = None
            with subprocess.Popen(
                [sys.executable, "-m", "dvc", *arguments], cwd=folder, env=os.environ | environment | {"PATH": path},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            ) as process:  # fmt: skip
                try:
                    while said is None:  # second by second, or Ray's cancelling would have to wait for its end
                        with suppress(subprocess.TimeoutExpired):
                            said = process.communicate(timeout=1)[0]
                finally:
                    process.terminate()
            return said.strip() or f"exit status {process.returncode}" if process.returncode else ""

        subprocess.run(["tar", "-xf", "-", "-C", folder], input=commit, check=True)
        # All tensors: the identity of a run, by which MLflow knows it, asks for more than a stage's own dependencies.
        if failed := failure("pull", *before):
            return failed
        # Of the run-cache, which grows, the driver has already asked for these stages.
        failed = failure("repro", "--single-item", "--pull", "--no-run-cache", *stages)
        pushed = failure("push", "--run-cache", *stages)  # also after a failure: a training outlives its evaluation's
        return failed or pushed


def _before(cell: plans.Cell) -> list[str]:
    """DVC's names of the stages whose outputs those of a cell read."""
    return ["plan", f"extract@{cell.dataset}", f"weights@{cell.network}"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.grid", description="Train and evaluate the grid on the machines of a Ray cluster."
    )
    parser.add_argument("--cpus", type=float, help="for each task; by default train.processes × train.threads")
    parser.add_argument("--gpus", type=float, help="for each task, such as 0.5; by default train.processes, if any")
    options = parser.parse_args()
    for name, number in vars(options).items():
        if number is not None and (number < 0 or (number > 1 and number % 1)):
            raise InputError(f"--{name}: {number:g} is neither whole nor between 0 and 1")
    return options


def _check_repository() -> None:
    edited = _run("git", "status", "--porcelain", "--", ".", *(f":!{path}" for path in RESULTS)).splitlines()
    if edited:
        names = ", ".join(line[3:] for line in edited)
        raise InputError(f"not committed: {names}; commit it, for the other machines work on the commit")
    try:
        _run(*dvc.COMMAND, "config", "--project", "core.remote")
    except InputError:
        raise InputError("no DVC remote: `dvc remote add --default NAME URL`, and commit .dvc/config") from None


def _connect() -> Any:
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # or an address where nothing is costs a quarter of an hour
    try:
        import ray
    except ImportError:
        raise InputError("Ray is not installed: `make ray`") from None
    try:
        ray.init("auto", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"no Ray cluster: `ray start --head`, or set RAY_ADDRESS ({reason})") from None
    return ray


def _task(ray: Any, settings: params.Params, options: argparse.Namespace) -> Any:
    """`work` as a Ray task, which takes what the command line says of a machine, or what a training uses."""
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    processes = settings.train.processes
    wanted = {
        "CPU": processes * settings.train.threads if options.cpus is None else options.cpus,
        "GPU": processes * any("GPU" in machine for machine in machines) if options.gpus is None else options.gpus,
    }
    if not any(all(machine.get(kind, 0) >= number for kind, number in wanted.items()) for machine in machines):
        print(
            f"no machine of the cluster has {wanted}: waiting for one; --cpus and --gpus ask for less", file=sys.stderr
        )
    return ray.remote(work).options(num_cpus=wanted["CPU"], num_gpus=wanted["GPU"], max_retries=MAX_RETRIES)


@contextmanager
def _cancelled(ray: Any, tasks: Collection[Any]) -> Iterator[None]:
    """End the tasks that are left when this is interrupted, and have them remove their folders."""
    try:
        yield
    finally:
        for task in tasks:
            ray.cancel(task)
        if tasks:
            ray.wait(list(tasks), num_returns=len(tasks), timeout=20)


def _restore() -> None:
    """Check out what the run-cache has, here or in the remote, and run nothing.

    DVC has no such option, so the shell that it would run a stage in is one that fails.
    """
    command = [*dvc.COMMAND, "repro", "--single-item", "--pull", "--keep-going", *dvc.STAGES]
    subprocess.run(command, env=os.environ | {"SHELL": "false"}, capture_output=True)


def _commit() -> bytes:
    """The commit as an archive, with dvc.lock as it is here: workers need no access to the git repository."""
    with TemporaryDirectory() as folder:
        root = Path(folder, "commit")
        _run("git", "clone", "--quiet", "--depth=1", Path.cwd().as_uri(), str(root))
        shutil.copy("dvc.lock", root)
        return Path(shutil.make_archive(str(root), "tar", root)).read_bytes()


def _handed_on() -> dict[str, str]:
    """MLflow's variables if they name a server; if not, `report` brings MLflow up to the results here. No telemetry."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if sync.is_off() or "://" not in uri or uri.startswith(("sqlite:", "file:")):
        return NO_TELEMETRY | {"LOSSLAB_MLFLOW": "off"}
    return NO_TELEMETRY | {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError((done.stderr.strip() or f"{command} failed").splitlines()[-1])
    return done.stdout


if __name__ == "__main__":
    exit_on_error(main)
