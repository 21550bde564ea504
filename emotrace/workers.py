"""Processes that compute clips: of this job, of jobs on Slurm, or of a Dask cluster."""

from __future__ import annotations

import logging
import os
import site
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

from emotrace.errors import EmotraceError
from emotrace.provenance import ROOT
from emotrace.threads import SINGLE_THREADED

logger = logging.getLogger(__name__)

LOCAL, SLURM = "local", "slurm"
"""Clusters that have a name; any other is the address of a scheduler."""

SECONDS_TO_ANSWER = 10

SECONDS_TO_REPLACE = 30
"""Between two looks whether as many workers are there, or asked for, as there should be."""


@dataclass(frozen=True)
class Workers:
    """Which worker processes a job may have.

    Parameters
    ----------
    number : int
        Processes, of one thread each.
    memory_mb : int
        Memory of all of them together, in MB.
    cluster : str
        ``"local"``, ``"slurm"``, or the address of a Dask scheduler, whose workers are as
        many and as large as its owner made them.
    minutes : int
        How long one that Slurm starts may last; others last as long as the job.
    """

    number: int
    memory_mb: int
    cluster: str = LOCAL
    minutes: int = 60

    @property
    def alone(self) -> Workers:
        """One process of this job's own, with all the memory."""
        return replace(self, number=1, cluster=LOCAL)

    def limit(self, n_items: int) -> Workers:
        """No more processes than there are items."""
        return replace(self, number=max(1, min(self.number, n_items)))

    @contextmanager
    def start(self) -> Iterator[Any]:
        """Start them and yield the Dask client that gives them work.

        Raises
        ------
        EmotraceError
            If the cluster cannot be reached or started.
        """
        import dask
        from distributed import Client

        # What goes wrong arrives as an exception; Dask's own lines would drown it.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # A clip that ended one process shall not end another.
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        # Its profiler files 0.1 MB a second of what each worker does, for a quarter of an hour.
        dask.config.set({"distributed.worker.profile.enabled": False})
        if self.cluster == LOCAL:
            with self._start_local() as cluster, Client(cluster) as client:
                yield client
        elif self.cluster == SLURM:
            with self._start_slurm() as cluster, Client(cluster) as client:
                yield _prepare(client)
        else:
            with _connect(self.cluster) as client:
                yield _prepare(client)

    def _start_local(self) -> Any:
        import dask
        from distributed import LocalCluster

        # Workers share the cores among themselves; inside each, libraries must not.
        environment = SINGLE_THREADED | {"DASK_LOGGING__DISTRIBUTED": "critical"}
        # What the environment says already comes before what Dask is told, and Snakemake lets it
        # say that each process has as many threads as the job.
        os.environ.update(environment)
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment})
        return LocalCluster(
            n_workers=self.number,
            threads_per_worker=1,
            memory_limit=self.memory_mb * 10**6 // self.number,
            dashboard_address=None,
            # Even without a dashboard it takes a port, and always the same if not told otherwise.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            local_directory=tempfile.gettempdir(),
            env=environment,
        )

    @contextmanager
    def _start_slurm(self) -> Iterator[Any]:
        from tornado.ioloop import PeriodicCallback

        with self._create_slurm_cluster() as cluster:
            _try_submitting(cluster.job_script())
            cluster.scale(self.number)
            # Workers whose time is up, or that were cancelled, are not replaced by themselves.
            again = PeriodicCallback(partial(cluster.scale, self.number), 1000 * SECONDS_TO_REPLACE)
            cluster.loop.add_callback(again.start)
            try:
                yield cluster
            finally:
                cluster.loop.add_callback(again.stop)

    def _create_slurm_cluster(self) -> Any:
        try:
            from dask_jobqueue import SLURMCluster
        except ImportError:
            raise EmotraceError(
                "dask_cluster: slurm needs the package dask-jobqueue, which is not installed",
                hint="pip install dask-jobqueue",
            ) from None
        exports = [f"export {name}={value}" for name, value in SINGLE_THREADED.items()]
        return SLURMCluster(
            cores=1,
            processes=1,
            memory=f"{self.memory_mb // self.number}MB",
            walltime=str(self.minutes),
            # What is compiled for this machine need not suit the nodes.
            job_script_prologue=[*exports, "unset NUMBA_CACHE_DIR"],
            scheduler_options={"dashboard_address": ":0"},
        )


def _try_submitting(script: str) -> None:
    """Ask Slurm whether it would take a worker; Dask would wait for ever where it does not."""
    command = ["sbatch", "--test-only"]
    try:
        subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmotraceError(
            "dask_cluster: slurm: no workers can be submitted "
            f"({(getattr(error, 'stderr', '') or str(error)).strip()})",
            hint="start the command where sbatch works, or see Dask's configuration, "
            "jobqueue.slurm",
        ) from None


def _connect(address: str) -> Any:
    from distributed import Client

    try:
        client = Client(address, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        raise EmotraceError(
            f"dask_cluster: no Dask scheduler answers at {address} ({error})",
            hint='start one there with dask scheduler, or say "local" or "slurm"',
        ) from None
    return client


def _prepare(client: Any) -> Any:
    """Let a scheduler and workers that were started elsewhere, now or later, find our code."""
    if not client.nthreads():
        logger.info("waiting for a worker")
    client.wait_for_workers(1)
    client.run_on_scheduler(site.addsitedir, str(ROOT))
    client.register_worker_callbacks(partial(site.addsitedir, str(ROOT)))
    try:
        # A worker that cannot import what it is sent would leave without a word.
        client.run(import_module, "emotrace.features.extraction")
    except ImportError as error:
        raise EmotraceError(
            f"dask_cluster: a worker at {client.scheduler.address} cannot run emotrace ({error})",
            hint="start the workers in the environment of the workflow",
        ) from None
    return client
