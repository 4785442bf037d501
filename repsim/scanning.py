"""Owns making anew whatever is derived from the results: overviews, manifests, outlines. Nothing is known from them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repsim import gathering, manifest
from repsim.job import Job
from repsim.parts import BadPart
from repsim.submission import Submission


@dataclass(frozen=True)
class Scanned:
    """What was found, and what of it was made anew."""

    parts: int
    rows: int
    bad: tuple[BadPart, ...]
    submissions: int
    overviews: int
    manifests: int
    outlines: int


def scan(store: Path, jobs: Mapping[str, Job], known: Sequence[Submission]) -> Scanned:
    """Read every part, and write what is derived from them and from the plans. UserError where that cannot be written."""
    manifests = sum(manifest.rebuild(folder) for name in manifest.jobs(store) for folder in manifest.folders(store, name))
    found = [gathering.anew(store, job) for job in jobs.values()]
    return Scanned(
        parts=sum(len(one.rows.entries) for one, _ in found),
        rows=sum(len(one.rows.table) for one, _ in found),
        bad=tuple(bad for one, _ in found for bad in one.bad),
        submissions=len(known),
        overviews=sum(written for _, written in found),
        manifests=manifests,
        outlines=sum(one.restore_outline() for one in known),
    )
