"""Native libraries that compute with one thread, so that they give the same bits everywhere."""

from __future__ import annotations

import os

SINGLE_THREADED = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
}
"""What tells libraries that are loaded later to use one thread."""


def use_one_thread() -> None:
    """Let BLAS and OpenMP use one thread in this process from now on.

    With another number of threads, sums are added up in another order. The limit is never
    lifted again: where a process computes several clips at once, as on a Dask cluster, the
    first to end would lift it for the others.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(SINGLE_THREADED)
    threadpool_limits(1)
