"""Owns which options of `results plot` go with which kind of picture, and what is said of one that does not."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from repsim import store
from repsim.errors import UserError, nearest
from repsim.report.scatter import across_of
from repsim.sweep.expand import Sweep

TAKEN: Mapping[str, tuple[str, ...]] = {"--run": ("weights", "curves"), "--across": ("scatter", "pareto")}
"""Option → the kinds that take it."""


def known_kind(kind: str | None, kinds: Collection[str]) -> None:
    """Raise UserError for a kind that is asked for and is none of `kinds`."""
    if kind and kind not in kinds:
        raise UserError(f"there is no kind of picture '{kind}'", where="--kind", do=nearest(kind, kinds))


def fit(kind: str, given: Mapping[str, Any]) -> None:
    """Raise UserError for an option that is given and that `kind` would not obey; by its name, what was given."""
    for option, kinds in TAKEN.items():
        if given.get(option) and kind not in kinds:
            said = " and ".join(kinds)
            raise UserError(f"only {said} take it, and this is {kind}", where=option, do=f"leave it out, or say --kind {kinds[0]}")


def column(name: str, sweep: Sweep, where: str) -> str:
    """`name`, a column that the rows of `sweep` have. Raises UserError for another."""
    columns = store.schema_of(sweep.jobs[sweep.spec.job]).names
    if name not in columns:
        raise UserError(f"the rows of job '{sweep.spec.job}' have no column '{name}'", where=where, do=nearest(name, columns))
    return name


def partner(value: str, sweep: Sweep) -> str:
    """What a scatter draws `value` against where nothing is said: the same number of direct matching.

    Raises: UserError where the rows have no such number, with the numbers that they have.
    """
    job = sweep.jobs[sweep.spec.job]
    numbers = [name for name in store.numbers(job) if name not in job.config.model_fields and name != value]
    if (name := across_of(value)) in numbers:
        return name
    what = f"name the number along x: the rows of job '{job.name}' hold no {value.replace('_', ' ')} of direct matching"
    raise UserError(what, where="--across", do=_some(numbers))


def _some(names: Sequence[str]) -> str:
    return "valid: " + ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
