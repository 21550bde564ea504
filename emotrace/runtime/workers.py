"""Start processes that compute clips: on this machine, on Slurm, or on a Dask cluster.

Anyone who can reach a Dask port without certificates can run code as the user who opened it,
and every user of a machine can reach its loopback ports. Each cluster that emotrace starts
therefore has a temporary certificate, which every connection must present.
"""

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

from emotrace.reruns.code import ROOT
from emotrace.runtime.errors import EmotraceError
from emotrace.runtime.threads import SINGLE_THREADED

logger = logging.getLogger(__name__)

LOCAL, SLURM = "local", "slurm"
"""Clusters with a name; any other value is the address of a scheduler."""

ENCRYPTED = "tls://"
"""Prefix of the address of a scheduler that requires certificates."""

SETTINGS = {
    # A clip that killed one process must not kill another.
    "distributed.scheduler.allowed-failures": 0,
    # Dask's profiler would record 0.1 MB a second for each worker, for a quarter of an hour.
    "distributed.worker.profile.enabled": False,
    # Nobody else uses the scratch folder, and not every disk supports locks.
    "distributed.worker.use-file-locking": False,
    # Turn off the web pages about the work, which would be served without a certificate.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Dask's configuration in a job."""

JOB_PROLOGUE = [
    *(f"export {name}={value}" for name, value in SINGLE_THREADED.items()),
    # Code that was compiled for this machine may not suit the nodes.
    "unset NUMBA_CACHE_DIR",
    # Use a separate scratch folder on the node as well.
    'export DASK_TEMPORARY_DIRECTORY="$(mktemp -d)"',
    """trap 'rm -rf "$DASK_TEMPORARY_DIRECTORY"' EXIT""",
    "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
]
"""Commands that a Slurm job runs before it becomes a worker."""

SECONDS_TO_ANSWER = 10

SECONDS_TO_REPLACE = 30
"""Seconds between checks that the intended number of workers is running or requested."""


@dataclass(frozen=True)
class Workers:
    """Worker processes that a job may use.

    Parameters
    ----------
    number : int
        Number of processes, with one thread each.
    memory_mb : int
        Memory of all processes together, in MB.
    cluster : str
        ``"local"``, ``"slurm"``, or the address of a Dask scheduler, whose owner decides how many
        workers it has and how large they are.
    minutes : int
        Time limit of a worker that Slurm starts; other workers last as long as the job.
    network_is_trusted : bool
        Whether a scheduler without certificates may be used.
    """

    number: int
    memory_mb: int
    cluster: str = LOCAL
    minutes: int = 60
    network_is_trusted: bool = False

    @property
    def alone(self) -> Workers:
        """One local process of this job, with all the memory."""
        return replace(self, number=1, cluster=LOCAL)

    def limit(self, n_items: int) -> Workers:
        """Return the same workers, but no more processes than there are items."""
        return replace(self, number=max(1, min(self.number, n_items)))

    @contextmanager
    def start(self) -> Iterator[Any]:
        """Start the workers, and yield the Dask client that sends them work.

        Raises
        ------
        EmotraceError
            If the cluster cannot be reached or started.
        """
        import dask
        from distributed import Client

        check_scheduler(self.cluster, network_is_trusted=self.network_is_trusted)
        # Failures arrive as exceptions, and Dask's own log lines would hide them.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # Dask adds its scratch folder to sys.path, so others must not be able to write to it.
        with (
            tempfile.TemporaryDirectory(prefix="emotrace-", ignore_cleanup_errors=True) as scratch,
            dask.config.set(SETTINGS | {"temporary-directory": scratch}),
        ):
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
        from distributed.security import Security

        # Workers share the cores among themselves, so libraries must not use more threads in each.
        environment = SINGLE_THREADED | {"DASK_LOGGING__DISTRIBUTED": "critical"}
        # Environment variables have priority over Dask's configuration, and Snakemake sets them so
        # that each process has as many threads as the job.
        os.environ.update(environment)
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment})
        return LocalCluster(
            n_workers=self.number,
            threads_per_worker=1,
            memory_limit=self.memory_mb * 10**6 // self.number,
            dashboard_address=None,
            # Even without a dashboard, Dask opens a port for it, by default always the same.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            security=Security.temporary(),
            env=environment,
        )

    @contextmanager
    def _start_slurm(self) -> Iterator[Any]:
        from tornado.ioloop import PeriodicCallback

        with self._create_slurm_cluster() as cluster:
            _try_submitting(cluster.job_script())
            cluster.scale(self.number)
            # Workers that reach their time limit or are cancelled are not replaced automatically.
            again = PeriodicCallback(partial(cluster.scale, self.number), 1000 * SECONDS_TO_REPLACE)
            cluster.loop.add_callback(again.start)
            try:
                yield cluster
            finally:
                cluster.loop.add_callback(again.stop)

    def _create_slurm_cluster(self) -> Any:
        import dask
        from distributed.security import Security

        try:
            from dask_jobqueue import SLURMCluster
        except ImportError:
            raise EmotraceError(
                "dask_cluster: slurm needs the package dask-jobqueue, which is not installed",
                hint="pip install dask-jobqueue",
            ) from None
        # Workers read their key from a file that only its owner may read.
        keys = dask.config.get("jobqueue.slurm.shared-temp-directory", None) or "."
        return SLURMCluster(
            cores=1,
            processes=1,
            memory=f"{self.memory_mb // self.number}MB",
            walltime=str(self.minutes),
            job_script_prologue=JOB_PROLOGUE,
            scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            security=Security.temporary(),
            shared_temp_directory=keys,
        )


def _try_submitting(script: str) -> None:
    """Ask Slurm whether it would accept a worker; if not, Dask would wait forever."""
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


def check_scheduler(cluster: str, *, network_is_trusted: bool) -> None:
    """Check that a scheduler requires certificates, unless its network is trusted.

    Parameters
    ----------
    cluster : str
        ``"local"``, ``"slurm"``, or the address of a Dask scheduler.
    network_is_trusted : bool
        Value of the setting in the config.

    Raises
    ------
    EmotraceError
        If anyone who can reach the scheduler could run code as the user.
    """
    if network_is_trusted or cluster in (LOCAL, SLURM) or cluster.startswith(ENCRYPTED):
        return
    raise EmotraceError(
        f"dask_cluster: {cluster} asks for no certificate, so anyone who can reach it can run "
        "code as you",
        hint="start the scheduler and its workers with --tls-ca-file, --tls-cert and --tls-key, "
        f"and name it {ENCRYPTED}HOST:PORT; or, if you trust everyone on its network, set "
        "dask_network_is_trusted: true",
    )


def _connect(address: str) -> Any:
    from distributed import Client

    security = _read_certificates() if address.startswith(ENCRYPTED) else None
    try:
        client = Client(address, timeout=SECONDS_TO_ANSWER, security=security)
    except Exception as error:  # Dask raises many kinds of errors for a wrong address.
        raise EmotraceError(
            f"dask_cluster: no Dask scheduler answers at {address} ({error})",
            hint='start one there with dask scheduler, or say "local" or "slurm"',
        ) from None
    return client


def _read_certificates() -> Any:
    """Load the client certificates that Dask's configuration names."""
    from distributed.security import Security

    hint = (
        "name your files in Dask's configuration, under distributed.comm.tls: ca-file, client.cert "
        "and client.key"
    )
    try:
        security = Security()
        context = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        raise EmotraceError(
            f"dask_cluster: the certificates for {ENCRYPTED} cannot be read ({error})", hint=hint
        ) from None
    if context is None:
        raise EmotraceError(
            f"dask_cluster: {ENCRYPTED} needs certificates, but Dask's configuration names none",
            hint=hint,
        )
    return security


def _prepare(client: Any) -> Any:
    """Make this project's code available to a scheduler and workers that others started."""
    if not client.nthreads():
        logger.info("waiting for a worker")
    client.wait_for_workers(1)
    client.run_on_scheduler(site.addsitedir, str(ROOT))
    client.register_worker_callbacks(partial(site.addsitedir, str(ROOT)))
    try:
        # A worker that cannot import what it receives would exit without a message.
        client.run(import_module, "emotrace.features.extraction")
    except ImportError as error:
        raise EmotraceError(
            f"dask_cluster: a worker at {client.scheduler.address} cannot run emotrace ({error})",
            hint="start the workers in the environment of the workflow",
        ) from None
    return client
