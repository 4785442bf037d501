"""Owns what a run is called: the canonical form of its configuration, and the id hashed from it.

Left out of the form: fields at their default (so that a new field with a default changes no id), and the
labels of the job (so that renaming a case changes no id). Device, partition, folders and logs are no part
of a configuration at all. Inputs enter by their own run id.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator

from repsim.job import Job, JobConfig, RunId

DIGITS = 12
SINGLE = (str, int, float, bool, NoneType)


def canonical(config: JobConfig) -> dict[str, Any]:
    """The fields of `config` that decide its result and differ from their default."""
    said = config.model_dump(mode="json", exclude=set(config.labels), exclude_defaults=True)
    return {name: _unsigned(value) for name, value in said.items()}


def run_id(job: str, version: int, config: JobConfig) -> RunId:
    """SHA-256 of the sorted compact JSON of (job, version, canonical config), first 12 hex digits."""
    return _run_id(job, version, _form(config))


def _run_id(job: str, version: int, form: str) -> RunId:
    return _hashed(f'{{"config":{form},"job":{_json(job)},"version":{version}}}')


def id_of(job: Job, config: JobConfig, pieces: Iterable[str] | None = None) -> RunId:
    """`run_id` for a loaded job; `pieces` are those of a plain config, where they are known."""
    if pieces is None:
        return run_id(job.name, job.version, config)
    return _run_id(job.name, job.version, _joined(pieces))


def group_id(job: str, runs: Iterable[RunId]) -> str:
    """Id of a group of runs: whoever computes the same runs together writes a part of the same name."""
    return digest({"job": job, "group": sorted(runs)})


def digest(value: Any) -> str:
    """The first 12 hex digits of the SHA-256 of `value` as sorted compact JSON."""
    return _hashed(_json(value))


def _form(config: JobConfig) -> str:
    """`canonical` as sorted compact JSON. Of plain fields the pieces are remembered: a sweep says few values, over and over."""
    if not is_plain(type(config)):
        return _json(canonical(config))
    return _joined(pieces(config, config.model_fields_set))


def pieces(config: JobConfig, names: Iterable[str]) -> tuple[str, ...]:
    """What the fields `names` of a plain config add to its form, in any order."""
    model, values = type(config), config.__dict__
    return tuple(filter(None, (_piece(model, name, values[name]) for name in names)))


def _joined(pieces: Iterable[str]) -> str:
    """They sort as their names do: the quote that ends a name comes before all that names are made of."""
    return "{" + ",".join(sorted(pieces)) + "}"


@lru_cache(maxsize=100_000, typed=True)
def _piece(model: type[JobConfig], name: str, value: Any) -> str:
    """The field as it stands in the form; nothing for a label and for what is at its default."""
    if name in model.labels or value == model.model_fields[name].default:
        return ""
    return f"{_json(name)}:{_json(_unsigned(value))}"


def _unsigned(value: Any) -> Any:
    """0.0 for −0.0: equal numbers have equal ids."""
    return value + 0.0 if type(value) is float else value


@cache
def is_plain(model: type[JobConfig]) -> bool:
    """Whether each field holds a single value that is stored as it is, so that pydantic would write it as JSON does."""
    written = model.__pydantic_decorators__
    if written.field_serializers or written.model_serializers or model.model_computed_fields:
        return False
    return all(
        name.isascii() and field.default_factory is None and _is_single(field.annotation)
        for name, field in model.model_fields.items()
    )


def _is_single(annotation: Any) -> bool:
    """Of numbers, texts, truth values, literals and unions of them; a validator changes nothing of how a value is written."""
    if get_origin(annotation) is Annotated:
        value, *notes = get_args(annotation)
        return _is_single(value) and all(isinstance(note, BeforeValidator | AfterValidator) for note in notes)
    if annotation in SINGLE:
        return True
    if get_origin(annotation) is Literal:
        return all(type(value) in SINGLE for value in get_args(annotation))
    return get_origin(annotation) in (Union, UnionType) and all(_is_single(part) for part in get_args(annotation))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


@cache
def _encoder() -> json.JSONEncoder:
    return json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _json(value: Any) -> str:
    return _encoder().encode(value)
