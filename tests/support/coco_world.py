"""What the COCO tests share: a server on loopback that misbehaves on demand, and small data sets made on the spot."""

import json
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from losslab import data


class Server:
    """Serves `files` (path → bytes); `misbehave(handler, body)` may answer instead and return True."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.misbehave: Callable[[Any, bytes], bool] = lambda handler, body: False
        self.ranges = True
        self.etag = '"one"'
        self.url = ""

    @property
    def counts(self) -> Counter[str]:
        return Counter(path for path, _ in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        world = self.world
        world.requests.append((self.path, self.headers.get("Range")))
        body = world.files.get(self.path, b"")
        if world.misbehave(self, body):
            return
        if self.path not in world.files:
            self.answer(404, b"")
            return
        span = self.headers.get("Range")
        if span and world.ranges and self.headers.get("If-Range", world.etag) == world.etag:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            else:
                self.answer(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})
        else:
            self.answer(200, body)

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None, sent: int | None = None) -> None:
        """Answer with `body`, of which only `sent` bytes come before the connection closes."""
        self.send_response(code)
        head = {"Content-Length": str(len(body)), "ETag": self.world.etag, "Date": formatdate(usegmt=True)}
        for name, value in (head | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        if sent is not None:
            self.wfile.flush()
            self.close_connection = True


@contextmanager
def serve() -> Iterator[Server]:
    world = Server()
    handler = type("Handler", (_Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def coco_file(images: int = 12, classes: tuple[str, ...] = ("cell", "dust"), side: int = 32) -> dict[str, Any]:
    """An annotation file: image i has one square of class i mod C, its corner at (i mod 8, 4)."""
    return {
        "images": [
            {"id": i, "width": side, "height": side, "file_name": f"{i:04}.png", "site": f"s{i % 3}"}
            for i in range(images)
        ],
        "categories": [{"id": 7 * k + 3, "name": name} for k, name in enumerate(classes)],
        "annotations": [
            {
                "id": 100 + i,
                "image_id": i,
                "category_id": 7 * (i % len(classes)) + 3,
                "bbox": [i % 8, 4, 16, 16],
                "iscrowd": 0,
                "segmentation": [[i % 8, 4, i % 8 + 16, 4, i % 8 + 16, 20, i % 8, 20]],
            }
            for i in range(images)
        ],
    }


def write_set(folder: Path, file: dict[str, Any], split: str = "all", side: int = 32) -> Path:
    """The data set on disk in COCO's layout, with a picture for every record."""
    for record in file["images"]:
        path = folder / split / record["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(record["id"]).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(path)
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(file))
    return folder


def dataset(source: Path | str, **changes: Any) -> data.Dataset:
    """A data set as params.yaml would give it; `extract_…` options go to its extraction, the others to download."""
    download: dict[str, Any] = {
        "annotations": str(source),
        "images": str(source),
        "train": "all",
        "classes": ("cell", "dust"),
        "instances": "only_annotation",
    }
    extract: dict[str, Any] = {"image_size": 16, "planes": "per_class", "workers": 1}
    for key, value in changes.items():
        (extract if key.startswith("extract_") else download)[key.removeprefix("extract_")] = value
    return data.registry.build({"kind": "coco", "download": download, "extract": extract})


def run(made: data.Dataset, folder: Path) -> dict[str, Any]:
    """Fetch and extract in `folder`; the content of extract.json."""
    raw, out = folder / "raw", folder / "out"
    raw.mkdir(parents=True)
    out.mkdir()
    made.fetch(raw)
    made.write_tensors(raw, out)
    account: dict[str, Any] = json.loads((out / "extract.json").read_text())
    return account


def official(world: Server, folder: Path, splits: tuple[str, ...]) -> dict[str, str]:
    """Serve a folder as the official hosts do; the two locations for params.yaml."""
    text = BytesIO()
    with zipfile.ZipFile(text, "w", zipfile.ZIP_DEFLATED) as archive:
        for split in splits:
            archive.write(folder / f"annotations/instances_{split}.json", f"annotations/instances_{split}.json")
            world.files |= {f"/{split}/{p.name}": p.read_bytes() for p in (folder / split).iterdir()}
    world.files["/annotations/annotations_trainval2017.zip"] = text.getvalue()
    return {
        "annotations": f"{world.url}/annotations/annotations_trainval2017.zip",
        "images": f"{world.url}/{{split}}/{{file_name}}",
    }
