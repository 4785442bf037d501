"""Owns filters on runs: `stitcher=birkhoff seed=3` → a predicate; values may be globs, and all must match."""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from repsim.errors import SpecError, nearest
from repsim.sweep.exclude import field_of
from repsim.sweep.expand import Run, Sweep

Wanted = list[tuple[str, str]]


def matcher(filters: Sequence[str], sweep: Sweep) -> Callable[[Run], bool]:
    """Whether a run matches every KEY=VALUE of `filters`; unknown keys are an error."""
    wanted = wanted_of(filters, sweep)
    return lambda run: all(fnmatchcase(_value(run, key), value) for key, value in wanted)


def reader(key: str, sweep: Sweep) -> Callable[[Run], str]:
    """What a run has in a field, as text; SpecError for a field that no run has."""
    field = _known(key, _fields(sweep))
    return lambda run: _value(run, field)


def wanted_of(filters: Sequence[str], sweep: Sweep) -> Wanted:
    """The fields that `filters` name, each with the glob it must match; SpecError for unknown keys."""
    fields = _fields(sweep)
    return [_split(text, fields) for text in filters]


def _fields(sweep: Sweep) -> set[str]:
    return {*sweep.jobs[sweep.spec.job].config.model_fields, "case", "id"}


def _split(text: str, fields: set[str]) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise SpecError(f"'{text}' is no filter", do="write KEY=VALUE, as in stitcher=linear or front_layer=bn*")
    return _known(key, fields), value


def _known(key: str, fields: set[str]) -> str:
    key = field_of(key, fields)
    if key not in fields:
        raise SpecError(f"no run has a field '{key}'", do=nearest(key, fields))
    return key


def _value(run: Run, key: str) -> str:
    if key == "id":
        return run.id
    return str(run.label(key, run.value(key)))
