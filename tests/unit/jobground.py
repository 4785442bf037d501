"""Owns what jobs are run on in tests: a context without a store, and rows in the order in which they were asked for."""

from pathlib import Path
from typing import Any

from repsim import job as jobs


def context_of(folder: Path) -> jobs.Context:
    """Artefacts lie in `folder`; runs are called run-0, run-1 … as they are first asked for."""
    ids: dict[Any, str] = {}
    return jobs.Context("cpu", (), folder / "cache", folder, lambda one: ids.setdefault(one, f"run-{len(ids)}"))


def rows_of(job: jobs.Job, configs: list[Any], context: jobs.Context) -> list[Any]:
    """One row for each config, in their order."""
    found = {row.run_id: row for row in job.run(configs, context)}
    return [found[context.run_id(one)] for one in configs]
