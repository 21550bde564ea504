"""A Slurm of one node on this machine, for as long as a test needs it."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")

CONFIG = """
ClusterName=emotrace
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=43200
KillWait=2
OverTimeLimit=0
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:1
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


def is_installed() -> bool:
    """Tell whether the packages slurm-wlm and munge are here, and we may start them."""
    return os.geteuid() == 0 and all(map(shutil.which, DAEMONS))


@contextmanager
def run_slurm(folder: Path, *, cpus: int) -> Iterator[dict[str, str]]:
    """Start Slurm with its own key and ports, and yield the environment of its commands.

    The node claims `cpus` CPUs and one GPU, whatever the machine has.
    """
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700, parents=True)
    (folder / "munge/key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge/key").chmod(0o400)
    folder.chmod(0o755)
    controller_port, node_port = _find_ports(2)
    config = CONFIG.format(
        host=socket.gethostname().split(".")[0],
        folder=folder,
        user=getpass.getuser(),
        controller_port=controller_port,
        node_port=node_port,
        cpus=cpus,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 500,
    )
    (folder / "slurm.conf").write_text(config)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    environment["PATH"] = f"{_wrap_commands(folder)}:{environment['PATH']}"
    munge = {name: f"--{name}-file={folder}/munge/{name}" for name in ("key", "pid", "log", "seed")}
    commands = [
        ["munged", "--force", "--foreground", f"--socket={folder}/munge.socket", *munge.values()],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D"],
    ]
    daemons = []
    try:
        for command in commands:
            with open(folder / f"{command[0]}.out", "w") as output:
                daemons.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=output)
                )
            time.sleep(1)
        _wait_until_idle(environment, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, check=False)
        for daemon in reversed(daemons):
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)
            daemon.kill()


def list_jobs(environment: dict[str, str]) -> list[dict[str, str]]:
    """List all jobs that Slurm had, each with its number, state, partition and comment."""
    fields = {
        "id": "%i",
        "name": "%j",
        "state": "%T",
        "partition": "%P",
        "comment": "%k",
        "limit": "%l",
    }
    command = [
        "squeue",
        "--noheader",
        "--states=all",
        "--sort=i",
        f"--format={'|'.join(fields.values())}",
    ]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [dict(zip(fields, line.split("|"), strict=True)) for line in lines.stdout.splitlines()]


def _wrap_commands(folder: Path) -> Path:
    """Let commands find the config though jobs are started without SLURM_CONF."""
    wrappers = folder / "bin"
    wrappers.mkdir()
    for name in ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun"):
        wrapper = wrappers / name
        wrapper.write_text(
            f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which(name)} "$@"\n'
        )
        wrapper.chmod(0o755)
    return wrappers


def _find_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    for _ in range(60):
        command = ["sinfo", "--noheader", "--format=%T"]
        found = subprocess.run(command, env=environment, capture_output=True, text=True)
        if "idle" in found.stdout:
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text() for path in sorted(folder.glob("*.out")))
    raise RuntimeError(f"Slurm did not start:\n{logs}")
