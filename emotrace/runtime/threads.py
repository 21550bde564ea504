"""Limit native libraries to one thread, so that they give the same bits everywhere."""

from __future__ import annotations

import os

SINGLE_THREADED = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
}
"""Environment variables that limit libraries to one thread if they are loaded later."""


def use_one_thread() -> None:
    """Limit BLAS and OpenMP to one thread in this process from now on.

    With another number of threads, sums are computed in another order. The limit is never
    removed: if a process computes several clips at once, as on a Dask cluster, the first to
    finish would remove it for the others.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(SINGLE_THREADED)
    threadpool_limits(1)
