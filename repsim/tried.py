"""Owns what dry runs measured: rates kept on disk until rows of the same kind are stored.

results/cache/dry-runs/JOB-HASH.json     one kind of run, on one card, by one version of the job file; the newest dry run wins
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repsim.identity import digest
from repsim.job import Job
from repsim.measured import MARGIN, Kind, Rate, is_card

FOLDER = "dry-runs"


@dataclass(frozen=True)
class Trial:
    """What the first steps of `n` runs of one kind say: seconds per unit of work, and what a group takes once beside them."""

    kind: Kind
    device: str
    card: str | None
    seconds: float
    once: float
    n: int

    @property
    def rate(self) -> Rate:
        """The slow end is a guess: a few steps on one machine do not tell how unequal others are."""
        return Rate(self.seconds, MARGIN * self.seconds, self.n, "dry-run", self.once)


def keep(cache: Path, job: Job, trial: Trial) -> None:
    """Write a trial down in place of an earlier one of its kind; a disk that is full or read-only costs only this."""
    held = {**asdict(trial), "job": job.name, "code": job.digest}
    key = digest([held["code"], held["kind"], held["device"], held["card"]])
    file = cache / FOLDER / f"{job.name}-{key}.json"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(held))
        temporary.replace(file)


def trials(cache: Path, job: Job, device: str) -> list[Trial]:
    """What dry runs of this version of the job file measured on such a device."""
    found = (_read(file, job) for file in sorted((cache / FOLDER).glob(f"{job.name}-*.json")))
    return [trial for trial in found if trial and trial.device == device.split(":")[0]]


def rate(known: list[Trial], kind: Kind, card: str | None) -> Rate | None:
    """That of the kind, on the card where it is known; else of the slowest kind that was tried; None without any."""
    for chosen in (list(_of(known, kind, card)), list(_of(known, kind, None)), known):
        if chosen:
            return max(chosen, key=lambda trial: trial.seconds).rate
    return None


def _of(known: list[Trial], kind: Kind, card: str | None) -> Iterator[Trial]:
    yield from (trial for trial in known if trial.kind == kind and (card is None or is_card(trial.card, card)))


def _read(file: Path, job: Job) -> Trial | None:
    """None for another version of the job file, and for a damaged file: the cache may be lost at any time."""
    try:
        held: dict[str, Any] = json.loads(file.read_text())
        if held.pop("job") != job.name or held.pop("code") != job.digest:
            return None
        return Trial(**{**held, "kind": tuple(held["kind"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
