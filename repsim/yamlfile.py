"""Owns YAML: a file on disk → a strict frozen pydantic model, or an error with file, key path and nearest key."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from repsim.errors import SpecError, nearest, shortened

Model = TypeVar("Model", bound=BaseModel)
MAX_BYTES, MAX_TEXT, MAX_KEY = 1_000_000, 1000, 100  # of a file, of one text in it, of a key
MAX_WHOLE = 2**63 - 1  # what a column of the store holds


class Strict(BaseModel):
    """Base of everything that is read from YAML: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def read(path: Path, first: str = "job: stitch") -> dict[str, Any]:
    """The mapping in the YAML file at `path`; aliases are refused (a small file could unfold into gigabytes).

    `first` is how such a file may begin, for whoever has none yet.
    """
    try:
        too_large = path.stat().st_size > MAX_BYTES
        text = "" if too_large else path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError("there is no such file", where=str(path), do=_neighbours(path)) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"is not text: byte {error.start} is no UTF-8", where=str(path), do="save it as UTF-8") from None
    except OSError as error:
        raise SpecError(
            f"cannot be read: {error.strerror}", where=str(path), do="check that it is a file, and its rights"
        ) from None
    if too_large:
        raise SpecError(f"is larger than {MAX_BYTES:,} bytes", where=str(path), do="split the sweep")
    return parse(text, str(path), first)


def parse(text: str, where: str, first: str = "job: stitch") -> dict[str, Any]:
    """The mapping in YAML `text`; duplicate keys, aliases and anything but plain data are errors."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"is not valid YAML: {_short(error)}", where=where) from None
    except RecursionError:
        raise SpecError("is nested too deeply", where=where) from None
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError):  # what PyYAML lets through for !!bool 3
        raise SpecError("is not valid YAML: a tag does not fit its value, or a number is too long", where=where) from None
    if not isinstance(data, dict):
        raise SpecError("must be a mapping of keys to values", where=where, do=f"start with '{first}'")
    return data


def validate(model: type[Model], data: Any, where: str, prefix: str = "") -> Model:
    """`data` as `model`, or a SpecError that names the key path and the nearest valid key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise explain(error, model, data, where, prefix) from None


def explain(error: ValidationError, model: type[BaseModel], data: Any, where: str, prefix: str = "") -> SpecError:
    """The most telling problem that pydantic found in `data`, in the words and at the key path of whoever wrote `data`."""
    problems = [(_trail(found, data), found) for found in error.errors(include_url=False)]
    path, found = max(problems, key=lambda problem: _telling(*problem))
    place = ": ".join([where, *filter(None, [".".join(filter(None, [prefix, *map(str, path)]))])])
    if found["type"] == "extra_forbidden":
        return SpecError(f"unknown key '{path[-1]}'", where=place, do=nearest(str(path[-1]), _keys(model, path[:-1])))
    same = {other["type"] for trail, other in problems if trail == path}
    return SpecError(_what(found, same), where=place, do=_advice(found))


Trail = list[str | int]


def _trail(found: ErrorDetails, data: Any) -> Trail:
    """The keys that lead to the problem in `data`; pydantic's own words for a member of a union are left out."""
    trail: Trail = []
    for part in found["loc"]:
        within: dict[Any, Any] = data if isinstance(data, dict) else dict(enumerate(data)) if isinstance(data, list) else {}
        if part in within:
            trail, data = [*trail, part], within[part]
    return [*trail, found["loc"][-1]] if found["type"] == "missing" else trail


def _telling(trail: Trail, found: ErrorDetails) -> tuple[int, int]:
    """Of the members of a union, the one that the writer meant fits deepest; a misspelt key explains a missing one."""
    rank = {"extra_forbidden": 3, "value_error": 2, "literal_error": 2, "finite_number": 2}
    return len(trail), rank.get(found["type"], 0 if found["type"] in CONTAINERS else 1)


WANTED = {
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "list_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
}
CONTAINERS = {"model_type", "dict_type", "list_type"}
SCALARS = {"string_type", "bool_type", "int_type", "float_type"}


def _what(found: ErrorDetails, same: set[str]) -> str:
    kind, given = found["type"], "nothing" if found["input"] is None else repr(found["input"])
    given = shortened(given, 60)
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return found["msg"].removeprefix("Value error, ")
    if same >= SCALARS:
        return f"must be a single value, not {given}"
    if kind in WANTED:
        return f"must be {WANTED[kind]}, not {given}"
    return f"{found['msg'].replace('Input should be', 'must be').replace('String should match', 'must match the')}, not {given}"


def _advice(found: ErrorDetails) -> str | None:
    """For a number that YAML took for text, and for a misspelt word."""
    given = found.get("input")
    if found["type"] == "literal_error" and isinstance(given, str):
        return nearest(given, re.findall("'([^']*)'", found.get("ctx", {}).get("expected", "")))
    if not isinstance(given, str) or found["type"] not in ("int_type", "float_type") or not _looks_like_number(given):
        return None
    if "e" in given.lower():
        return f"YAML reads {given} as text: write a decimal point, as in 1.0e-3"
    return f"'{given}' is text: remove the quotes"


def _keys(model: Any, path: Sequence[str | int]) -> list[str]:
    """Valid keys at `path` below `model`."""
    for part in path:
        fields = model.model_fields
        model = next(_models(fields[part].annotation), model) if part in fields else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, as Zoo in list[Zoo]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = shortened(getattr(error, "problem", None) or str(error).splitlines()[0], MAX_TEXT)
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem


def _neighbours(path: Path) -> str:
    choices = [p.stem for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return nearest(path.stem, choices) if choices else "check the path"


class _Loader(yaml.SafeLoader):
    """Plain data only, no key twice, and nothing that cannot be shown in an error or stored in a row."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise _refusal("aliases (*name) are not allowed", event)
        return super().compose_node(parent, index)

    def construct_scalar(self, node):
        text = super().construct_scalar(node)
        if len(text) > MAX_TEXT:
            raise _refusal(f"a text of {len(text):,} characters is too long", node)
        if odd := [char for char in text if not char.isprintable() and char not in "\n\t"]:
            raise _refusal(f"holds U+{ord(odd[0]):04X}, which cannot be printed", node)
        return text

    def construct_yaml_int(self, node):
        number = super().construct_yaml_int(node)
        if abs(number) > MAX_WHOLE:
            raise _refusal("a whole number of more than 64 bits", node)
        return number

    def construct_mapping(self, node, deep=False):
        """A mapping whose keys are plain names, each once."""
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | int | float) or len(str(name)) > MAX_KEY or not str(name).isprintable():
                raise _refusal("keys must be plain names", key)
            if name in seen:
                raise _refusal(f"key '{name}' stands twice", key)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _refusal(why: str, node: yaml.Node | yaml.Event) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)
