"""Servers of MLflow on loopback."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import urllib3
from coco_world import wait_for


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(*command: str, health: str) -> Iterator[None]:
    """An `mlflow` command that serves on loopback, until the block ends; it and its workers are then gone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, "the server ended by itself"
        try:
            return urllib3.request("GET", health, timeout=60, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        wait_for(answers, 300)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tracking_server(folder: Path, port: int) -> AbstractContextManager[None]:
    """A server with a database behind it, that hands artifacts through."""
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/server.db", "--host", "127.0.0.1"]
    command += ["--artifacts-destination", f"{folder}/artifacts", "--port", str(port), "--workers", "1"]
    return serving(*command, health=f"http://127.0.0.1:{port}/health")


@contextmanager
def dripping_server() -> Iterator[str]:
    """A server whose every answer is one byte after another, without end, as long as the block lasts; its address."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Drip: ")
            with suppress(OSError):  # the client has gone
                while not over.wait(0.1):
                    self.request.sendall(b".")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        over.set()
        server.shutdown()
