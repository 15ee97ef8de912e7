"""Commands that start with the large libraries imported: `python -m …` and `dvc`, forked from a process that has them.

The stages of a repository start by the dozen, each with seconds of imports that are the same every time. Forked
processes have a working folder, environment and standard streams of their own, and none of the project's modules, which
each imports from where it runs. What ends processes, or asks what they import, is tested with real ones.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from runpy import run_module

LIBRARIES = (
    "torch", "torch._dynamo", "scipy.stats", "scipy.ndimage", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "pydantic", "msgspec", "safetensors.torch", "jinja2", "tqdm", "dvc.cli",
    "dvc.repo", "dvc.repo.reproduce", "dvc.commands.repro",
)  # fmt: skip

CLIENT = """#!{python} -ISE
import json, os, socket, sys
command = ["-m", "dvc", *sys.argv[1:]] if sys.argv[0].endswith("dvc") else sys.argv[1:]
if command[:1] != ["-m"]:
    os.execv({python!r}, [{python!r}, *command])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"."], [0, 1, 2])
server.sendall(json.dumps([command[1:], os.getcwd(), dict(os.environ)]).encode())
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.recv(8) or 70))
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder with the commands `python` and `dvc`, for the front of PATH; they end with this context."""
    address = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        (folder / "bin").mkdir()
        for name in ("python", "dvc"):
            (folder / "bin" / name).write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())], env=bare, pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield folder / "bin"
    finally:
        server.communicate()  # the end of its input is its end
        assert server.returncode == 0


def serve(listener: socket.socket) -> None:
    """Fork a process for each that connects, until the input ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for a command
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        if listener in ready:
            client, _ = listener.accept()
            if not os.fork():
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _, streams, _, _ = socket.recv_fds(client, 1, 3)
                asked = json.loads(client.makefile("rb").read())
                if command := os.fork():
                    wait(command, client)
                begin(streams, *asked)
            client.close()


def wait(command: int, client: socket.socket) -> None:
    """Tell how the command ends; where whoever asked for it has ended first, so does the command."""
    poll = select.poll()
    poll.register(os.pidfd_open(command), select.POLLIN)
    poll.register(client, select.POLLHUP)  # its sending side is closed already
    if any(which == client.fileno() for which, _ in poll.poll()):
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError):
        client.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def begin(streams: list[int], command: list[str], folder: str, environment: dict[str, str]) -> None:
    """Become `python -m` with this command."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    invalidate_caches()
    code: object = 0
    try:
        run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the libraries' objects are not taken down one by one, which takes as long as to import them


if __name__ == "__main__":
    del sys.path[0]
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
