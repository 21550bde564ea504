"""Clips in parallel through Dask, with a line of progress."""

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
"""Clips submitted ahead per thread: enough to keep it busy, few enough to keep memory flat."""

SECONDS_BETWEEN_LINES = 10

KILLED = "twice the process that worked on it died: a crash in a library, or too little memory"
"""Why there is no result of a clip."""


def refuse_killed(item: Any) -> NoReturn:
    """Refuse an item whose process died.

    Raises
    ------
    EmotraceError
        Naming the item.
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

    A process that dies, by a crash in a library or for want of memory, takes with it all
    items that wait for it. So each of them is tried once more, alone in a process of its own.

    Parameters
    ----------
    function : callable
        Importable by name, because it travels to other processes.
    items : sequence
        One per clip.
    label : str
        What the progress line calls the work.
    workers : Workers
    if_killed : callable
        Gives the result of an item whose process died twice.

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


class _Killed:
    """In place of a result: the process that was to give it died."""


def _run_until_killed(
    function: Callable[[Item], Result],
    waiting: deque[Item],
    workers: Workers,
    progress: Progress,
) -> Generator[Result, None, list[tuple[Item, Result | _Killed]]]:
    """Take items and yield their results until a process dies; return what was in hand then."""
    in_hand: deque[tuple[Item, Any]] = deque()
    with workers.limit(len(waiting)).start() as client:
        while waiting or in_hand:
            # A cluster may have more threads than were asked for, and may grow.
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
