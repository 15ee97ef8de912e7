"""Seconds and memory until 10,000 training images are ready: the peer's unpickling against our memory-mapped tensors.

Each load has a process of its own, forked when all is imported. Memory is what the process grew by at its peak; ours
has then touched every byte. Our file is made once, by the stage `extract`: that time is a row of its own.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import peer
import psutil
from timing import Figure, Goal, figure, in_turns

from losslab.data import tensors
from losslab.data.purdue_shapes import CLASSES, read_file

if TYPE_CHECKING:
    from speed import Options

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


def in_child(work: Callable[[], float]) -> tuple[float, float]:
    """Seconds that the work says it took, and megabytes that its process grew by."""
    fork = multiprocessing.get_context("fork")
    answer = fork.SimpleQueue()

    def child() -> None:
        before = psutil.Process().memory_info().rss
        seconds = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT
        answer.put((seconds, max(peak - before, 0) / 1e6))

    process = fork.Process(target=child)
    process.start()
    process.join()
    if process.exitcode:
        raise MemoryError(f"loading ended with {process.exitcode}; not enough memory?")
    found: tuple[float, float] = answer.get()
    return found


def figures(options: "Options") -> list[Figure]:
    studio = peer.dlstudio()
    memory: dict[str, list[float]] = {"theirs": [], "ours": []}

    def loaded(whose: str, work: Callable[[], float]) -> float:
        seconds, megabytes = in_child(work)
        memory[whose].append(megabytes)
        return seconds

    with tempfile.TemporaryDirectory() as folder:
        link, file = Path(folder, "train.gz"), Path(folder, "train.safetensors")
        link.symlink_to(peer.TRAIN)

        def theirs() -> float:
            start = time.perf_counter()
            peer.dataset(studio, link)
            return time.perf_counter() - start

        def extract() -> float:
            start = time.perf_counter()
            images, masks = read_file(peer.TRAIN)
            with tensors.Writer(file, dataset="shapes", classes=CLASSES, source="train") as writer:
                for index, image in enumerate(zip(images, masks, strict=True)):
                    writer.append(str(index), *image)
            return time.perf_counter() - start

        def ours() -> float:
            start = time.perf_counter()
            split = tensors.read(file)
            seconds = time.perf_counter() - start
            split.images.sum(), split.masks.sum()
            return seconds

        unpickling, extracting, opening = in_turns(
            min(options.rounds, 3),
            lambda: loaded("theirs", theirs),
            lambda: in_child(extract)[0],
            lambda: loaded("ours", ours),
            warm=False,
        )
    what = "10,000 training images ready"
    return [
        figure(f"{what}: time", "s", opening, "DLStudio", unpickling, Goal("ours", "≤", 0.2)),
        figure(f"{what}: memory", "MB", memory["ours"], "DLStudio", memory["theirs"]),
        figure("once before that: extracting them", "s", extracting, "DLStudio, each time", unpickling),
    ]
