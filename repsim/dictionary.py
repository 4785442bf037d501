"""Owns the data dictionary: of every column of a job's rows its type, unit, source and meaning, made from the fields themselves."""

import inspect
import re
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from repsim import meanings, units
from repsim.errors import UserError
from repsim.job import Job
from repsim.schema import Provenance

MEASURED, ASKED, LABEL, PROVENANCE, SWEEP = "measured", "asked", "label", "provenance", "sweep"
SOURCES = {
    MEASURED: "what the job measured: a field of its Row",
    ASKED: "what the sweep asked for, and what decides the run's id: a field of its Config",
    LABEL: "what people know a run by; it decides nothing: a label of its Config",
    PROVENANCE: "when, where and by what the row was made; added by the worker",
    SWEEP: "what the sweep file calls the run",
}
PAPER = re.compile(r"[A-Z][\w-]+(?: et al\.| & [A-Z][\w-]+),? \d{4}")
TYPES = {bool: "truth value", int: "integer", float: "number", str: "text"}


@dataclass(frozen=True)
class Entry:
    """One column. `asked` says what a sweep asks for by the same name, where the row holds what was then used."""

    column: str
    type: str
    unit: str
    source: str
    meaning: str
    reference: str = ""
    asked: str = ""


CASE = Entry(
    "case", "text", units.NONE, SWEEP, "case of the sweep file that made the run, with the values that tell several of it apart"
)


def of(job: Job) -> tuple[Entry, ...]:
    """The columns of a tidy file of `job`, in its order: Row, Config, provenance, case.

    Raises: UserError for a column without meaning or unit: nobody could read it.
    """
    measured, asked = job.row.model_fields, job.config.model_fields
    found = [_entry(job, job.row, name, MEASURED) for name in measured]
    found += [
        _entry(job, job.config, name, LABEL if name in job.config.labels else ASKED) for name in asked if name not in measured
    ]
    found += [_entry(job, Provenance, name, PROVENANCE) for name in Provenance.model_fields]
    return (*found, CASE)


def complete(job: Job) -> tuple[Entry, ...]:
    """The same, where every column must have a meaning and a unit. Raises: UserError that names those that have none."""
    found = of(job)
    short = [entry.column for entry in found if not (entry.meaning and entry.unit and entry.source)]
    if short:
        do = 'give each a description, and a unit by json_schema_extra={"unit": …} or a rule in repsim/units.py'
        raise UserError(f"columns without meaning or unit: {', '.join(short)}", where=str(job.path), do=do)
    return found


def plain(entries: Iterable[Entry]) -> list[dict[str, str]]:
    """As data, to be written as JSON."""
    return [asdict(entry) for entry in entries]


def read(data: Any) -> tuple[Entry, ...]:
    """What `plain` made; keys that are not known here are passed over. Raises: TypeError, KeyError for what is no dictionary."""
    return tuple(Entry(*(str(one.get(name, "")) for name in Entry.__dataclass_fields__)) for one in data)


def _entry(job: Job, model: type[BaseModel], name: str, source: str) -> Entry:
    field = model.model_fields[name]
    asked = job.config.model_fields[name] if source == MEASURED and name in job.config.model_fields else None
    meaning = meanings.meaning(job.name, name, field.description or "")
    return Entry(
        name,
        _type(field.annotation),
        units.unit(job.name, name, field),
        source,
        meaning,
        _reference(job.name, name, f"{meaning} {_topic(model, name)}"),
        (asked.description or "") if asked else "",
    )


def _reference(job: str, name: str, text: str) -> str:
    """The papers that the description names, or the docstring of the class that declares the field."""
    return meanings.REFERENCES.get(f"{job}.{name}") or "; ".join(dict.fromkeys(PAPER.findall(text)))


def _topic(model: type[BaseModel], name: str) -> str:
    """What the class that declares the field says of all its fields, in one line."""
    return " ".join((_owner(model, name).__doc__ or "").split())


def _owner(model: type[BaseModel], name: str) -> type[BaseModel]:
    """The class that declares the field: what stands there is its own topic."""
    return next(one for one in model.__mro__ if name in inspect.get_annotations(one))


def _type(annotation: Any) -> str:
    """What kind of values a column holds, in words."""
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) is list:
        return "list of numbers"
    if typing.get_origin(annotation) is typing.Literal:
        return TYPES[type(parts[0])]
    return TYPES[annotation] if annotation in TYPES else _type(parts[0])
