"""Owns YAML: a file on disk → a strict frozen pydantic model, or an error with file, key path and nearest key."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from repsim.errors import SpecError, nearest

Model = TypeVar("Model", bound=BaseModel)
MAX_BYTES = 1_000_000


class Strict(BaseModel):
    """Base of everything that is read from YAML: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def read(path: Path) -> dict[str, Any]:
    """The mapping in the YAML file at `path`; aliases are refused (a small file could unfold into gigabytes)."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError("there is no such file", where=str(path), do=_neighbours(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {error}", where=str(path)) from None
    if len(text) > MAX_BYTES:
        raise SpecError(f"is larger than {MAX_BYTES:,} characters", where=str(path), do="split the sweep")
    return parse(text, str(path))


def parse(text: str, where: str) -> dict[str, Any]:
    """The mapping in YAML `text`; duplicate keys, aliases and anything but plain data are errors."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"is not valid YAML: {_short(error)}", where=where) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise SpecError(f"is not valid YAML: {error}", where=where) from None
    if not isinstance(data, dict):
        raise SpecError("must be a mapping of keys to values", where=where, do="start with 'job: stitch'")
    return data


def validate(model: type[Model], data: Any, where: str, prefix: str = "") -> Model:
    """`data` as `model`, or a SpecError that names the key path and the nearest valid key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise explain(error, model, where, prefix) from None


def explain(error: ValidationError, model: type[BaseModel], where: str, prefix: str = "") -> SpecError:
    """The first problem of a pydantic error as a SpecError; unknown keys get the nearest valid one."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    place = ".".join(filter(None, [prefix, *path]))
    if first["type"] == "extra_forbidden":
        return SpecError(f"unknown key '{path[-1]}'", where=f"{where}: {place}", do=nearest(path[-1], _keys(model, path[:-1])))
    given = "" if first["type"] == "missing" else f", not {first['input']!r:.60}"
    text = first["msg"].removeprefix("Value error, ")
    do = None
    if isinstance(first.get("input"), str) and _looks_like_number(first["input"]):
        do = f"YAML reads {first['input']} as text: write a decimal point, as in 1.0e-3"
    return SpecError(text[:1].lower() + text[1:] + given, where=f"{where}: {place}" if place else where, do=do)


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Valid keys at `path` below `model`; falls back to the keys of `model`."""
    for part in path:
        field = model.model_fields.get(part)
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem


def _neighbours(path: Path) -> str:
    choices = [p.stem for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return nearest(path.stem, choices) if choices else "check the path"


class _Loader(yaml.SafeLoader):
    """Plain data only, and no key twice."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | int | float):
                raise yaml.constructor.ConstructorError(None, None, "keys must be plain names", key.start_mark)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{name}' stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)
