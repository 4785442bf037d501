"""Owns what runs cost: seconds per unit of work, measured in the store, else the job's own prior.

`work(config)` of a job file is the size of a run (images passed through a network); `PRIOR_RATE` its guess of
seconds per unit on one GPU. Where runs of a group share what they cost, `group_work(configs, catalog, device)` is the size of
them all together, and each run has an equal part of it. A measured rate replaces the guess as soon as one row of that job,
device and architecture is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from repsim import store
from repsim.job import Job, JobConfig

ARCH = ("front_arch", "arch")


@dataclass(frozen=True)
class Rate:
    """Seconds per unit of work: the median and the 90th percentile of n measured runs; n = 0 for a prior."""

    seconds: float
    high: float
    n: int


RateOf = Callable[[str, JobConfig], Rate]


def work(job: Job, config: JobConfig) -> float:
    """Size of a run; 1 for a job that does not say."""
    hook = job.hook("work")
    return float(hook(config)) if hook else 1.0


def works(job: Job, configs: Sequence[JobConfig], catalog: Any, device: str) -> list[float]:
    """Size of each run of one group, where they are computed together on such a device. `catalog` knows their networks."""
    hook = job.hook("group_work")
    if hook is None:
        return [work(job, config) for config in configs]
    return [float(hook(configs, catalog, device)) / len(configs)] * len(configs)


def least(job: Job) -> float:
    """Seconds per unit of work that a run takes at least: the prior where groups are reckoned as a whole, else none."""
    return float(getattr(job.module, "PRIOR_RATE", 0.0)) if job.hook("group_work") else 0.0


def rates(store_folder: Path, jobs: Mapping[str, Job], device: str) -> RateOf:
    """How to look up the rate of a run: same job, device and architecture; else same job and device; else the prior."""
    tables = {name: _measured(store_folder, job, device) for name, job in jobs.items()}

    def rate_of(name: str, config: JobConfig) -> Rate:
        table = tables[name]
        arch = next((getattr(config, field) for field in ARCH if hasattr(config, field)), None)
        prior = getattr(jobs[name].module, "PRIOR_RATE", 60.0)
        return table.get(arch) or table.get(None) or Rate(prior, 3 * prior, 0)

    return rate_of


def _measured(store_folder: Path, job: Job, device: str) -> dict[str | None, Rate]:
    field = next((f for f in ARCH if f in job.config.model_fields), "job")
    rows = store.read(store_folder, job, [field, "device", "work", "run_seconds"]).to_pylist()
    samples: dict[str | None, list[float]] = {}
    for row in rows:
        if row["device"] == device and row["work"]:
            for key in (row[field], None):
                samples.setdefault(key, []).append(row["run_seconds"] / row["work"])
    return {key: _rate(values) for key, values in samples.items()}


def _rate(values: list[float]) -> Rate:
    ordered = sorted(values)
    return Rate(median(ordered), ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))], len(ordered))


def hours_used(store_folder: Path, jobs: Mapping[str, Job], ids: set[str]) -> float:
    """Task-hours that the stored runs among `ids` took."""
    tables = (store.read(store_folder, job, ["run_id", "run_seconds"], ids) for job in jobs.values())
    return sum(sum(table["run_seconds"].to_pylist()) for table in tables) / 3600
