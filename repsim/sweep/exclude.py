"""Owns the `exclude` rules: which drafts of runs they take out, and what a person may call a field."""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

from repsim.errors import SpecError, nearest
from repsim.job import Job
from repsim.sweep.spec import Spec

ALIASES = {"arch": "front_arch", "layer": "front_layer", "layers": "front_layer"}

Draft = dict[str, Any]
"""Field values of one run, with `case` among them."""


def field_of(key: str, fields: Collection[str]) -> str:
    """The field that a person means by `key`: its own name, else what it is short for."""
    return key if key in fields else ALIASES.get(key, key)


def kept(spec: Spec, drafts: list[Draft], job: Job, where: str) -> list[Draft]:
    """The drafts that no rule of `exclude` matches; a rule that matches nothing is an error."""
    if not drafts:
        raise SpecError("the sweep holds no run", where=where)
    for index, rule in enumerate(spec.exclude):
        place = f"{where}: exclude.{index}"
        keys = {field_of(key, job.config.model_fields): values for key, values in rule.items()}
        unknown = keys.keys() - job.config.model_fields.keys() - {"case"}
        if unknown:
            raise SpecError(
                f"unknown key '{min(unknown)}'", where=place, do=nearest(min(unknown), [*job.config.model_fields, *ALIASES])
            )
        left = [draft for draft in drafts if not _matches(draft, keys, job)]
        if len(left) == len(drafts):
            raise SpecError("the rule excludes nothing", where=place, do="remove it, or compare it with: repsim sweep plan --json")
        drafts = left
    if not drafts:
        raise SpecError("every run is excluded", where=f"{where}: exclude")
    return drafts


def _matches(draft: Draft, keys: dict[str, list[Any]], job: Job) -> bool:
    fields = job.config.model_fields
    return all(
        any(_equal(draft.get(key, fields[key].get_default() if key in fields else None), v) for v in values)
        for key, values in keys.items()
    )


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return fnmatchcase(value, wanted)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
