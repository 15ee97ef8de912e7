"""Many images and outlines to tensors, over processes.

Apart from the data set itself, so that the processes, which import this module, start without what fetches files.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from tqdm import tqdm

from losslab.data.coco_images import Unusable, rasterise, read_image, reduce_mask
from losslab.data.tensors import Array
from losslab.errors import InputError

CHUNK = 16  # images a worker takes at a time

Result = tuple[Array, Array] | str
"""An image `[3, S, S]` and its mask `[C, S, S]`, or why there is none."""


class Job(NamedTuple):
    """One image to extract, or the reason why it cannot be."""

    path: Path
    segmentation: bytes
    width: int
    height: int
    plane: int
    planes: int
    size: int
    lacking: str


class Workers:
    """Extracts images over processes, or in this one where starting others would take longer than the work."""

    def __init__(self, workers: int | None, jobs: int) -> None:
        self.workers = min(workers or os.cpu_count() or 1, -(-jobs // CHUNK))
        # Not forked from this process, which may have threads, but from one that has imported this module and no more:
        # the imports take a second, and are done once for all workers.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pool = ProcessPoolExecutor(self.workers, context) if self.workers > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def extract(self, jobs: list[Job]) -> Iterator[Result]:
        """The results in the order of the jobs; no more than a few chunks for each worker are in memory."""
        chunks = (jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK))
        results = chain.from_iterable(self._parallel(chunks) if self._pool else map(_extract_chunk, chunks))
        return iter(tqdm(results, total=len(jobs), unit="image", disable=None))

    def _parallel(self, chunks: Iterable[list[Job]]) -> Iterator[list[Result]]:
        assert self._pool is not None
        running: deque[Future[list[Result]]] = deque()
        try:
            for chunk in chunks:
                running.append(self._pool.submit(_extract_chunk, chunk))
                if len(running) > 3 * self.workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            raise InputError("a worker process was killed (out of memory?); try fewer extract.workers") from None


def _extract(job: Job) -> Result:
    """An image `[3, S, S]` and its mask `[C, S, S]`, or why not."""
    try:
        if job.lacking:
            raise Unusable(job.lacking)
        # The mask first: a record's absurd size shows here without touching the file.
        mask = reduce_mask(rasterise(job.segmentation, job.width, job.height), job.size)
        image = read_image(job.path, job.width, job.height, job.size)
        if not mask.any():
            raise Unusable("mask_vanishes")
    except Unusable as reason:
        return str(reason)
    masks = np.zeros((job.planes, job.size, job.size), np.uint8)
    masks[job.plane] = mask
    return image, masks


def _extract_chunk(jobs: list[Job]) -> list[Result]:
    return [_extract(job) for job in jobs]
