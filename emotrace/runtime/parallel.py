"""Process clips in parallel through Dask, with a line of progress."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.workers import Workers

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)

IN_HAND = 4
"""Clips submitted ahead per thread: enough to keep it busy, few enough to limit memory."""

SECONDS_BETWEEN_LINES = 10

KILLED = "twice the process that worked on it died: a crash in a library, or too little memory"
"""Reason why a clip has no result."""


def refuse_killed(item: Any) -> NoReturn:
    """Raise an error about an item whose process died.

    Raises
    ------
    EmotraceError
        Always; the error names the item.
    """
    raise EmotraceError(f"{item}: {KILLED}", hint="give the job more memory")


def map_clips(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    label: str,
    workers: Workers,
    if_killed: Callable[[Item], Result] = refuse_killed,
) -> Iterator[Result]:
    """Apply a function to each item in worker processes; yield results in order.

    A process can die from a crash in a library or from lack of memory, and all items that it
    has not finished are lost. Each of these is therefore tried once more, alone in a process of
    its own.

    Parameters
    ----------
    function : callable
        Function that can be imported by name, because it is sent to other processes.
    items : sequence
        One item per clip.
    label : str
        Name of the work in the progress line.
    workers : Workers
        Workers that process the items.
    if_killed : callable
        Function that returns the result of an item whose process died twice.

    Yields
    ------
    object
        ``function(item)``, in the order of `items`.
    """
    progress = Progress(label, len(items))
    waiting = deque(items)
    while waiting:
        suspects = yield from _run_until_killed(function, waiting, workers, progress)
        for item, result in suspects:
            if isinstance(result, _Killed):
                result = _run_alone(function, item, workers, if_killed)
            progress.advance()
            yield result


class Progress:
    """Log the progress, speed and remaining time of the work.

    Parameters
    ----------
    label : str
        Name of the work in the progress line.
    total : int
        Total number of clips.
    """

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.started = self.spoken = time.monotonic()

    def advance(self) -> None:
        """Count one clip, and log the progress now and then and at the end."""
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


class _Killed:
    """Placeholder for a result whose process died."""


def _run_until_killed(
    function: Callable[[Item], Result],
    waiting: deque[Item],
    workers: Workers,
    progress: Progress,
) -> Generator[Result, None, list[tuple[Item, Result | _Killed]]]:
    """Yield the results of items until a process dies; return what was unfinished then."""
    in_hand: deque[tuple[Item, Any]] = deque()
    with workers.limit(len(waiting)).start() as client:
        while waiting or in_hand:
            # A cluster may have more threads than requested, and may grow.
            n_threads = max(workers.number, sum(client.nthreads().values()))
            while waiting and len(in_hand) < IN_HAND * n_threads:
                item = waiting.popleft()
                in_hand.append((item, client.submit(function, item, pure=False)))
            for _ in range(min(n_threads, len(in_hand))):
                item, future = in_hand.popleft()
                result = _wait_for(future)
                if isinstance(result, _Killed):
                    rest = [(item, _wait_for(future)) for item, future in in_hand]
                    return [(item, result), *rest]
                progress.advance()
                yield result
    return []


def _wait_for(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return _Killed()


def _run_alone(
    function: Callable[[Item], Result],
    item: Item,
    workers: Workers,
    if_killed: Callable[[Item], Result],
) -> Result:
    with workers.alone.start() as client:
        result = _wait_for(client.submit(function, item, pure=False))
    if isinstance(result, _Killed):
        logger.warning("%s: %s", item, KILLED)
        return if_killed(item)
    return result
