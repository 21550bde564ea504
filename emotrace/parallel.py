"""Clips in parallel through Dask, with a line of progress."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

SINGLE_THREADED = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
}
"""Workers share the cores among themselves; inside each, libraries must not."""

IN_HAND = 4
"""Clips submitted ahead per worker: enough to keep it busy, few enough to keep memory flat."""

SECONDS_BETWEEN_LINES = 10


def map_clips(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    label: str,
    threads: int,
    memory_mb: int,
) -> Iterator[Result]:
    """Apply a function to each item in worker processes; yield results in order.

    Parameters
    ----------
    function : callable
        Importable by name, because it travels to other processes.
    items : sequence
        One per clip.
    label : str
        What the progress line calls the work.
    threads : int
        Worker processes, of one thread each.
    memory_mb : int
        Memory of all workers together, in MB.

    Yields
    ------
    object
        ``function(item)``, in the order of `items`.
    """
    with _start_workers(min(threads, len(items)) or 1, memory_mb) as client:
        progress = Progress(label, len(items))
        waiting: deque[Any] = deque()
        for item in items:
            waiting.append(client.submit(function, item, pure=False))
            if len(waiting) > threads * IN_HAND:
                yield _take(waiting, progress)
        while waiting:
            yield _take(waiting, progress)


class Progress:
    """Logs how far the work is, how fast it goes, and how long it will take.

    Parameters
    ----------
    label : str
        What the line calls the work.
    total : int
        Clips in all.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.started = self.spoken = time.monotonic()

    def advance(self) -> None:
        """Count one clip, and say so now and then and at the end."""
        self.done += 1
        now = time.monotonic()
        if self.done < self.total and now - self.spoken < SECONDS_BETWEEN_LINES:
            return
        self.spoken = now
        rate = self.done / max(now - self.started, 1e-9)
        logger.info(
            "%s: %d of %d clips, %.1f clips/s, %.0f s left",
            self.label,
            self.done,
            self.total,
            rate,
            (self.total - self.done) / rate,
        )


def _take(waiting: deque[Any], progress: Progress) -> Any:
    result = waiting.popleft().result()
    progress.advance()
    return result


@contextmanager
def _start_workers(n_workers: int, memory_mb: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    # What goes wrong arrives as an exception; Dask's own lines would drown it.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    environment = SINGLE_THREADED | {"DASK_LOGGING__DISTRIBUTED": "critical"}
    # What the environment says already comes before what Dask is told, and Snakemake lets it say
    # that each process has as many threads as the job.
    os.environ.update(environment)
    dask.config.set({"distributed.nanny.pre-spawn-environ": environment})
    cluster = LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        memory_limit=memory_mb * 10**6 // n_workers,
        dashboard_address=None,
        # Even without a dashboard it takes a port, and always the same if not told otherwise.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        local_directory=tempfile.gettempdir(),
        env=environment,
    )
    with cluster, Client(cluster) as client:
        yield client
