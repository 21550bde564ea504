"""Describe what the next run would do, and why."""

import json
import os
import subprocess
import tempfile

from emotrace.runtime.jobs import run_job


def main() -> None:
    from emotrace.reruns.dry_run import JOBS_FILE, read_jobs
    from emotrace.reruns.forecast import Forecast
    from emotrace.reruns.store import open_store
    from emotrace.runtime.errors import EmotraceError

    params = snakemake.params
    with (
        tempfile.NamedTemporaryFile("w", suffix=".json") as config,
        tempfile.NamedTemporaryFile(suffix=".jsonl") as jobs_file,
    ):
        json.dump(snakemake.config, config)
        config.flush()
        command = [params.python, "-m", "snakemake", "--snakefile", params.snakefile]
        command += ["--directory", ".", "--configfile", config.name]
        command += ["--dry-run", "all", *params.options]
        dry_run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {JOBS_FILE: jobs_file.name},
        )
        jobs = read_jobs(jobs_file.name)
    printed = dry_run.stdout + dry_run.stderr
    if dry_run.returncode or not (jobs or "Nothing to be done" in printed):
        raise EmotraceError(
            f"the next run cannot be planned:\n{printed}",
            hint="start it with --dry-run to see the same",
        )
    store = open_store(snakemake.config["store"])
    lines = Forecast(jobs, params.plan, store).describe()
    print("\n".join(lines) or "Nothing to do: all results are what the experiment asks for.")


if __name__ == "__main__":
    with run_job(snakemake.log[0], *snakemake.output):
        main()
