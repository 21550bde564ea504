"""The jobs that a dry run of Snakemake announces, passed from its process to ours as data."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

JOBS_FILE = "EMOTRACE_JOBS_FILE"
"""Environment variable that names the file to which the Snakefile adds the jobs of a run."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that a dry run announces.

    Parameters
    ----------
    rule : str
    reason : str
        In Snakemake's words; its log records carry no other form of the reason.
    wildcards : dict of str to str
        In the order in which the rule names them.
    """

    rule: str
    reason: str = ""
    wildcards: dict[str, str] = field(default_factory=dict)


class JobWriter(logging.Handler):
    """Adds each job that Snakemake announces to a file, as a line of JSON.

    Milestones, which make no file, are left out. A file that cannot be written ends the run,
    because a missing line would read like a job that need not run.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record of Snakemake's logger, if it announces a job."""
        if getattr(record, "event", None) == "job_info" and record.output:
            job = PlannedJob(record.rule_name, record.reason, dict(record.wildcards))
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(job))}\n")


def read_jobs(path: str | Path) -> list[PlannedJob]:
    """Read the jobs that a `JobWriter` wrote, in their order."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [PlannedJob(**json.loads(line)) for line in lines]
