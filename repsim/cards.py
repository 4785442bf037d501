"""Owns how fast the cards of a profile's targets are beside each other, as far as stored runs tell."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from repsim import measured
from repsim.job import Job
from repsim.profile import Profile


def speed(store_folder: Path, jobs: Mapping[str, Job], parts: Sequence[Profile]) -> Callable[[Profile], float]:
    """How fast the card of a part is, where that of the first is 1; also 1 where no runs of one kind were measured on both.

    A part that takes any card of its partition has no speed that could be told.
    """
    names = list(dict.fromkeys(part.gpu for part in parts))
    if len(names) < 2 or names[0] is None:
        return lambda part: 1.0
    found = measured.speeds(store_folder, jobs, names[0])
    relative = {name: measured.of_card(found, name) for name in names[1:] if name}

    def of(part: Profile) -> float:
        known = relative.get(part.gpu) if part.gpu else None
        return known.relative if known else 1.0

    return of
