"""Owns how points become configurations: what thousands of them have in common is checked, and written for their ids, once."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from repsim.identity import is_plain, pieces
from repsim.job import JobConfig

Fields = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Kind:
    """What configurations have in common that differ only in labels and in fields that only their own type judges."""

    config: JobConfig  # the first of them
    pieces: tuple[str, ...]  # what they share of the canonical form


@dataclass(frozen=True, eq=False)
class Own:
    """The other fields of a configuration, as they were checked."""

    values: Fields
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Formed:
    """A configuration, its kind, and its canonical form in pieces; neither of a job whose fields are not plain."""

    config: JobConfig
    kind: Kind | None = None
    pieces: tuple[str, ...] | None = None


class Former:
    """Forms the configurations of one job, as `model_validate` does."""

    def __init__(self, model: type[JobConfig]):
        self._model, self._plain = model, is_plain(model)
        self._apart = (model.labels | model.apart) - _validated(model)
        self._readers: dict[tuple[str, ...], tuple[_Reader, _Reader]] = {}
        self._kinds: dict[Hashable, Kind] = {}
        self._owns: dict[Hashable, Own] = {}

    def form(self, fields: Fields) -> Formed:
        """The configuration that `fields` mean. Raises pydantic.ValidationError for what none can mean."""
        if not self._plain:
            return Formed(self._model.model_validate(fields))
        names = tuple(fields)
        shared, own = self._readers.get(names) or self._reading(names)
        try:
            keys = (names, _typed(shared.read(fields))), (names, _typed(own.read(fields)))
            kind, rest = self._kinds.get(keys[0]), self._owns.get(keys[1])
        except TypeError:  # a list or a mapping where one value is meant, which is about to be refused
            return Formed(self._model.model_validate(fields))
        if kind and rest:
            return Formed(kind.config.model_copy(update=rest.values), kind, kind.pieces + rest.pieces)
        config = self._model.model_validate(fields)
        kind = self._kinds.setdefault(keys[0], kind or Kind(config, pieces(config, shared.names)))
        rest = self._owns.setdefault(keys[1], rest or _own(config, own.names))
        return Formed(config, kind, kind.pieces + rest.pieces)

    def _reading(self, names: tuple[str, ...]) -> "tuple[_Reader, _Reader]":
        own = [name for name in names if name in self._apart]
        made = _Reader.of([name for name in names if name not in self._apart]), _Reader.of(own)
        return self._readers.setdefault(names, made)


@dataclass(frozen=True)
class _Reader:
    """Reads the values of some fields."""

    names: Sequence[str]
    read: Callable[[Fields], tuple[Any, ...]]

    @classmethod
    def of(cls, names: Sequence[str]) -> "_Reader":
        return cls(names, itemgetter(*names) if len(names) > 1 else lambda fields: tuple(fields[name] for name in names))


def _validated(model: type[JobConfig]) -> frozenset[str]:
    """Fields that have a validator of their own, which may look at other fields."""
    found = {name for one in model.__pydantic_decorators__.field_validators.values() for name in one.info.fields}
    return frozenset(model.model_fields) if "*" in found else frozenset(found)


def _own(config: JobConfig, names: Sequence[str]) -> Own:
    return Own({name: getattr(config, name) for name in names}, pieces(config, names))


def _typed(values: tuple[Any, ...]) -> Hashable:
    """Equal for equal values of equal types: 1, 1.0 and True are three."""
    return values, tuple(map(type, values))
