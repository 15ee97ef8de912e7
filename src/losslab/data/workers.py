"""One function over many jobs, spread over processes; the results come in the order of the jobs."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import Generic, Self, TypeVar

from tqdm import tqdm

from losslab.errors import InputError

J = TypeVar("J")
R = TypeVar("R")
CHUNK = 16  # jobs a worker takes at a time


class Workers(Generic[J, R]):
    """Processes, or this one where starting others would take longer than the work.

    Args:
        function: what is done to a job; at the top of a module that imports little.
        workers: how many processes; none: one for each processor. The results are the same.
        jobs: how many jobs there will be in all.
    """

    def __init__(self, function: Callable[[J], R], workers: int | None, jobs: int) -> None:
        self.function = function
        self.workers = min(workers or os.cpu_count() or 1, -(-jobs // CHUNK))
        # Not forked from this process, which may have threads, but from one that has imported the function and no more:
        # the imports take a second, and are done once for all workers.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([function.__module__])
        self._pool = None
        if self.workers > 1:
            try:
                self._pool = ProcessPoolExecutor(self.workers, context)
            except OSError as error:  # its semaphores lie in shared memory
                tqdm.write(f"warning: one process in place of {self.workers}: no shared memory here ({error.strerror})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def map(self, jobs: Sequence[J]) -> Iterator[R]:
        """The result of each job; no more than a few chunks for each worker are in memory.

        Raises:
            InputError: a worker was killed.
        """
        chunks = (jobs[start : start + CHUNK] for start in range(0, len(jobs), CHUNK))
        results = self._spread(chunks) if self._pool else (_each(self.function, chunk) for chunk in chunks)
        return iter(tqdm(chain.from_iterable(results), total=len(jobs), unit="image", disable=None))

    def _spread(self, chunks: Iterator[Sequence[J]]) -> Iterator[list[R]]:
        assert self._pool is not None
        running: deque[Future[list[R]]] = deque()
        try:
            for chunk in chunks:
                running.append(self._pool.submit(_each, self.function, chunk))
                if len(running) > 3 * self.workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            raise InputError("a worker process was killed (out of memory?); try fewer extract.workers") from None


def _each(function: Callable[[J], R], chunk: Sequence[J]) -> list[R]:
    return [function(job) for job in chunk]
