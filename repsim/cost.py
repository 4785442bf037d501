"""Owns what runs cost: seconds per unit of work, measured in the store, else the job's own prior.

`work(config)` of a job file is the size of a run (images passed through a network); `PRIOR_RATE` its guess of
seconds per unit on one GPU. Where runs of a group share what they cost, `group_work(configs, catalog, device)` is the size of
them all together, and each run has an equal part of it. A measured rate replaces the guess as soon as one row of that kind
(job, device, card, architectures, data set) is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from repsim import columns, measured, store, tried
from repsim.job import Job, JobConfig
from repsim.measured import Kind, Rate, Rates

PRIOR_S, DOUBT = 60.0, 3.0  # seconds that a run takes which nothing is known of; how much longer than a guess it may take

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


def rates(store_folder: Path, jobs: Mapping[str, Job], device: str, card: str | None = None, cache: Path | None = None) -> RateOf:
    """How to look up the rate of a run: stored runs of its kind, else dry runs, else stored runs like it, else the job's prior.

    `card` is the GPU's name or part of it (a100); without it runs of a kind on any card count as the same. Dry runs are read from
    `cache`, as `repsim.tried` keeps them.
    """
    tables = lru_cache(None)(lambda name: measured.rates(store_folder, jobs[name], device))  # of the jobs that are asked after
    trials = {name: tried.trials(cache, job, device) if cache else [] for name, job in jobs.items()}
    known: dict[tuple[str, Kind], Rate] = {}

    def rate_of(name: str, config: JobConfig) -> Rate:
        key = (name, measured.kind_of(jobs[name], config))
        if key not in known:
            table, kind = tables(name), key[1]
            known[key] = _same(table, kind, card) or tried.rate(trials[name], kind, card) or _like(table, kind) or prior(jobs[name])
        return known[key]

    return rate_of


def prior(job: Job) -> Rate:
    """The job's own guess."""
    seconds = float(getattr(job.module, "PRIOR_RATE", PRIOR_S))
    return Rate(seconds, DOUBT * seconds, 0)


def _same(table: Rates, kind: Kind, card: str | None) -> Rate | None:
    """Of the runs of a kind; on the card, where it matters which."""
    if card is None:
        return table.get((None, kind))
    return measured.on_card(table, kind, card)


def _like(table: Rates, kind: Kind) -> Rate | None:
    """Of runs of the kind on other cards, else of all that the job did on such a device."""
    near = table.get((None, kind)) or table.get((None, None))
    return replace(near, source="similar") if near else None


def hours_used(store_folder: Path, jobs: Mapping[str, Job], ids: set[str], gpus: Mapping[str, int] | None = None) -> float:
    """Hours that the stored runs among `ids` took: of tasks, each times the GPUs that its submission gives a task, by name."""
    return sum(_seconds(store_folder, job, ids, gpus or {}) for job in jobs.values()) / 3600


def _seconds(store_folder: Path, job: Job, ids: set[str], gpus: Mapping[str, int]) -> float:
    table = store.some(store_folder, job, ["submission", "run_seconds"], ids)
    sent, names = columns.codes(table["submission"])
    sums = columns.sums(sent, columns.numbers(table["run_seconds"]), len(names))
    return sum(seconds * gpus.get(name, 1) for name, seconds in zip(names, sums, strict=True))
