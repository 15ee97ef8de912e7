"""A proxy that lets nothing through and writes down who was asked for."""

import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from coco_world import wait_for

NOT_HANDED_ON = ("PYTEST_", "CI", "DVC_", "DO_NOT_TRACK", "HF_", "MLFLOW_", "RAY_")
"""How variables begin that tell a tool that it is tested, which is when it sends nothing, or to send nothing."""


@dataclass
class Proxy:
    """A proxy on loopback, and the first lines of what it was sent."""

    url: str
    asked: list[str] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that uses the proxy for everything, and is not told to send nothing."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_ON)}
        env |= {spelled: self.url for name in names for spelled in (name, name.lower())}
        return env | {"NO_PROXY": "", "no_proxy": ""}

    def wait_until_unused(self) -> None:
        """Wait for the end of every process that has it in its environment: some tools send from one they leave."""
        wait_for(lambda: not any(map(self._is_used_by, psutil.process_iter())), 120)

    def _is_used_by(self, process: psutil.Process) -> bool:
        try:
            return process.pid != os.getpid() and process.environ().get("HTTPS_PROXY") == self.url
        except psutil.Error:
            return False


@contextmanager
def logging_proxy() -> Iterator[Proxy]:
    """A proxy, as long as the block lasts."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            proxy.asked.append(self.rfile.readline().decode(errors="replace").strip())
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield proxy
        server.shutdown()
