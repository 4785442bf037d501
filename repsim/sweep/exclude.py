"""Owns the `exclude` rules: which points they take out, when a point meets a condition, and what a person may call a field."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from repsim.errors import SpecError, nearest
from repsim.job import Job
from repsim.sweep.spec import Spec

ALIASES = {"arch": "front_arch", "layer": "front_layer", "layers": "front_layer"}
Condition = dict[str, list[Any]]
"""Field → values, one of which it must have; texts may be globs."""


class Draft(NamedTuple):
    """A point that is not checked yet: values of fields, the case it belongs to, and the blocks that made it."""

    fields: dict[str, Any]
    case: str | None = None
    blocks: tuple[str, ...] = ()


def field_of(key: str, fields: Collection[str]) -> str:
    """The field that a person means by `key`: its own name, else what it is short for."""
    return key if key in fields else ALIASES.get(key, key)


def condition(said: Mapping[str, list[Any]], job: Job, where: str) -> Condition:
    """`said` with whole names of fields; SpecError for a key that is no field, nor `case`."""
    fields = job.config.model_fields
    for key in said:
        if field_of(key, fields) not in (*fields, "case"):
            raise SpecError(f"unknown key '{key}'", where=f"{where}.{key}", do=nearest(key, [*fields, *ALIASES, "case"]))
    return {field_of(key, fields): values for key, values in said.items()}


def meets(draft: Draft, wanted: Condition, job: Job) -> bool:
    """Whether every field has one of the values wanted of it; what is not said of a point is at its default."""
    for key, values in wanted.items():
        value = value_of(draft, key, job)
        if not any(_equal(value, one) for one in values):
            return False
    return True


def value_of(draft: Draft, key: str, job: Job) -> Any:
    """What a point has there."""
    if key == "case":
        return draft.case
    return draft.fields[key] if key in draft.fields else job.config.model_fields[key].get_default()


def sifted(spec: Spec, drafts: Sequence[Draft], job: Job, where: str) -> tuple[list[Draft], list[list[Draft]]]:
    """The points that no rule matches, and what each rule took out; a rule that matches nothing is an error."""
    if not drafts:
        raise SpecError("the sweep holds no run", where=where)
    left, taken = list(drafts), []
    for index, rule in enumerate(spec.exclude):
        place = f"{where}: exclude.{index}"
        wanted = condition(rule, job, place)
        matched = [meets(draft, wanted, job) for draft in left]
        taken.append(_where(left, matched))
        if not taken[-1]:
            raise SpecError("the rule excludes nothing", where=place, do="remove it, or compare it with: repsim sweep plan --json")
        left = _where(left, (not one for one in matched))
    if not left:
        raise SpecError("every run is excluded", where=f"{where}: exclude")
    return left, taken


def _where(drafts: Sequence[Draft], chosen: Iterable[bool]) -> list[Draft]:
    return [draft for draft, one in zip(drafts, chosen, strict=True) if one]


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return fnmatchcase(value, wanted)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
