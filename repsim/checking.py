"""Owns looking through the whole store: each part read to its last page, and what was found wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repsim import manifest, parts, quarantine
from repsim.job import Job
from repsim.parts import BadPart
from repsim.schema import KEY, schema_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Found:
    """What is in the store: parts and rows that can be read, and what cannot."""

    parts: int
    rows: int
    bad: tuple[BadPart, ...]


def check(store: Path, jobs: Mapping[str, Job]) -> Found:
    """Read every column of every part; of a job whose file is gone, only the ids."""
    count, rows, bad = 0, 0, []
    for name in manifest.jobs(store):
        for entry in manifest.listed(store, name):
            try:
                rows += len(parts.read(Path(entry.path), name, _schema(jobs.get(name))))
                count += 1
            except FileNotFoundError:
                continue  # merged meanwhile: the part that holds its rows now is listed, or will be the next time
            except BadPart as found:
                bad.append(found)
    return Found(count, rows, tuple(bad))


def mend(store: Path, bad: tuple[BadPart, ...]) -> dict[Path, Path]:
    """Move bad parts to the quarantine; old place → new one."""
    return {one.path: place for one in bad if (place := quarantine.set_aside(one, store))}


def _schema(job: Job | None) -> "pa.Schema":
    import pyarrow as pa

    return schema_of(job) if job else pa.schema([(KEY, pa.string())])
