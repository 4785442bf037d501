"""Owns measured rates: seconds per unit of work that stored runs took, by the kind of run and by the card it ran on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from repsim import columns, store
from repsim.job import Job, JobConfig

KIND = ("arch", "front_arch", "end_arch", "width", "depth", "dataset")
"""Fields that make runs of one job cost more or less per unit of work; a job has some of them."""
FEW = 10  # runs of which the slowest tenth is less than one
MARGIN = 1.3  # that a run may take longer than the median, until enough of them say how much longer

Kind = tuple[Any, ...]
"""Values of those fields of `KIND` that a job has."""
Source = Literal["measured", "dry-run", "similar", "prior"]
"""measured: runs of the same kind; similar: of the same job and device, of other networks or on another card."""


@dataclass(frozen=True)
class Rate:
    """Seconds per unit of work: the median and the 90th percentile of n measured runs; n = 0 for a prior.

    `once` is what a group takes beside, in seconds, where that is known apart; rates of stored runs have it in them.
    """

    seconds: float
    high: float
    n: int
    source: Source = "prior"
    once: float = 0.0


@dataclass(frozen=True)
class Speed:
    """How fast a card is, in units of another, and how many runs on it say so."""

    relative: float
    n: int


Counted = TypeVar("Counted", Rate, Speed)
Rates = Mapping[tuple[str | None, Kind | None], Rate]
"""By name of the card and kind of run; None: whatever it is."""


def kind_of(job: Job, config: JobConfig) -> Kind:
    """The kind of a run, among runs of its job."""
    return tuple(getattr(config, field) for field in fields_of(job))


def fields_of(job: Job) -> tuple[str, ...]:
    """Those of the fields in `KIND` that the job has."""
    return tuple(field for field in KIND if field in job.config.model_fields)


def rates(store_folder: Path, job: Job, device: str) -> Rates:
    """The rates of all kinds of runs of `job` that are stored and were computed on such a device (cpu, cuda, mps)."""
    fields = fields_of(job)
    table = store.rows(store_folder, job, [*fields, "gpu", "device", "work", "run_seconds"])
    devices, names = columns.codes(table["device"])
    work, seconds = columns.numbers(table["work"]), columns.numbers(table["run_seconds"])
    wanted = [_family(name) == _family(device) for name in names]
    kept = np.asarray(wanted)[devices] & (work > 0) & np.isfinite(seconds)
    coded = [_kept(columns.codes(table[name]), kept) for name in ("gpu", *fields)]
    return _by_kind(coded, seconds[kept] / work[kept])


def is_card(name: str | None, wish: str) -> bool:
    """Whether a card, by its name in the rows, is the one that a profile asks Slurm for: a100 is NVIDIA A100-SXM4-40GB."""
    return name is not None and wish.lower() in name.lower()


def on_card(table: Rates, kind: Kind, wish: str) -> Rate | None:
    """Of the runs of a kind on a card; of several cards of that name, the one that did most."""
    return of_card({name: rate for (name, what), rate in table.items() if what == kind and name is not None}, wish)


def of_card(found: Mapping[str, Counted], wish: str) -> Counted | None:
    """What is known of the card that a profile asks for; of several of that name, what rests on most runs."""
    return max((each for name, each in found.items() if is_card(name, wish)), key=lambda each: each.n, default=None)


def speeds(store_folder: Path, jobs: Mapping[str, Job], reference: str) -> dict[str, Speed]:
    """How fast each card is that runs are stored of, where `reference` (a name as in column `gpu`, or part of one) is 1.

    2 means that the same kind of run takes half as long as on the reference. It is the geometric mean over the kinds of runs
    that both cards did, each by the number of its runs on the card. A card that shares no kind with the reference is
    not in the answer, and neither is anything if the reference itself did nothing.
    """
    logs: dict[str, list[tuple[float, int]]] = {}
    for job in jobs.values():
        found = rates(store_folder, job, "cuda")
        for (card, kind), rate in found.items():
            own = None if kind is None else on_card(found, kind, reference)
            if card is not None and own and rate.seconds > 0 and own.seconds > 0:
                logs.setdefault(card, []).append((math.log(own.seconds / rate.seconds), rate.n))
    return {card: _speed(each) for card, each in logs.items()}


def _speed(logs: list[tuple[float, int]]) -> Speed:
    n = sum(count for _, count in logs)
    return Speed(math.exp(sum(log * count for log, count in logs) / n), n)


def _by_kind(coded: list[tuple[np.ndarray, list[Any]]], values: np.ndarray) -> Rates:
    """Each combination of card and kind; each kind on any card; and all together."""
    if not len(values):
        return {}
    both, rows = columns.together(*coded)
    found: dict[tuple[str | None, Kind | None], Rate] = {(None, None): _rate(np.sort(values))}
    found |= {(row[0], row[1:]): rate for row, rate in zip(rows, _each(both, values), strict=True)}
    if {row[0] for row in rows} == {None}:
        return found
    kinds, of_kind = columns.together(*coded[1:]) if coded[1:] else (np.zeros(len(values), np.int64), [()])
    return found | {(None, kind): rate for kind, rate in zip(of_kind, _each(kinds, values), strict=True)}


def _each(coded: np.ndarray, values: np.ndarray) -> list[Rate]:
    """The rate of the values of each code."""
    order = np.lexsort((values, coded))
    ends = np.flatnonzero(np.diff(coded[order])) + 1
    return [_rate(part) for part in np.split(values[order], ends)]


def _rate(ordered: np.ndarray) -> Rate:
    """Of sorted values. The slowest tenth of few runs is a guess, and on the safe side."""
    n, middle = len(ordered), float(np.median(ordered))
    high = float(ordered[min(n - 1, int(0.9 * n))])
    return Rate(middle, high if n >= FEW else max(high, MARGIN * middle), n, "measured")


def _kept(coded: tuple[np.ndarray, list[Any]], kept: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    return coded[0][kept], coded[1]


def _family(device: str | None) -> str:
    """cuda of cuda:1."""
    return (device or "").split(":")[0]
