"""Pass the jobs that a dry run of Snakemake announces to this process as data."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

JOBS_FILE = "EMOTRACE_JOBS_FILE"
"""Environment variable with the path of the file to which the Snakefile adds planned jobs."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that a dry run announces.

    Parameters
    ----------
    rule : str
        Name of the rule.
    reason : str
        Snakemake's own text; its log records hold the reason in no other form.
    wildcards : dict of str to str
        Wildcards and their values, in the order in which the rule names them.
    """

    rule: str
    reason: str = ""
    wildcards: dict[str, str] = field(default_factory=dict)


class JobWriter(logging.Handler):
    """Append each job that Snakemake announces to a file, as a line of JSON.

    Milestone rules, which make no file, are left out. If the file cannot be written, the run
    ends, because a missing line would look like a job that does not need to run.

    Parameters
    ----------
    path : str or Path
        Path of the file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line if a record of Snakemake's logger announces a job."""
        if getattr(record, "event", None) == "job_info" and record.output:
            job = PlannedJob(record.rule_name, record.reason, dict(record.wildcards))
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(job))}\n")


def read_jobs(path: str | Path) -> list[PlannedJob]:
    """Read the jobs that a `JobWriter` wrote, in the order in which it wrote them."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [PlannedJob(**json.loads(line)) for line in lines]
