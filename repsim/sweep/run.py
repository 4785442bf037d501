"""Owns what one run of a sweep is; one whose sweep was expanded before makes its configuration when it is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Protocol

from repsim.job import JobConfig, RunId
from repsim.sweep.coded import Column
from repsim.sweep.forming import Kind


@dataclass(frozen=True)
class Run:
    """One point of a sweep."""

    id: RunId
    job: str
    config: JobConfig
    inputs: tuple[RunId, ...]
    group: str
    labels: dict[str, Any]
    kind: Kind | None = field(default=None, compare=False, repr=False)  # where it was formed with others

    @property
    def dataset(self) -> str:
        return self.value("dataset", "none")

    @property
    def slug(self) -> str:
        """What a person reads: the labels, then the id."""
        words = [str(v) for v in self.labels.values() if v is not None]
        return "/".join([*words, self.id])

    def value(self, name: str, otherwise: Any = None) -> Any:
        """A field of the configuration, or `otherwise` where it has no such field."""
        return getattr(self.config, name, otherwise)

    def label(self, name: str, otherwise: Any = None) -> Any:
        """A label, or `otherwise` where it has no such label."""
        return self.labels.get(name, otherwise)


class Rows(Protocol):
    """Where the fields and labels of runs are kept, by the number of the run."""

    def config(self, row: int) -> JobConfig: ...
    def labels(self, row: int) -> dict[str, Any]: ...
    def value(self, row: int, name: str, otherwise: Any) -> Any: ...
    def label(self, row: int, name: str, otherwise: Any) -> Any: ...
    def column(self, name: str, label: bool) -> Column | None: ...


class Recalled(Run):
    """A run as it was expanded before. Most commands count runs and ask a few of them for a field or two."""

    def __init__(self, rows: Rows, row: int, known: dict[str, Any]):
        """`known` are id, job, inputs and group."""
        self.__dict__.update(known, _rows=rows, _row=row)

    def __getattr__(self, name: str) -> Any:
        """What is not there yet: configuration and labels."""
        if name not in ("config", "labels"):
            raise AttributeError(name)
        made = getattr(self._rows, name)(self._row)
        self.__dict__[name] = made
        return made

    def value(self, name: str, otherwise: Any = None) -> Any:
        """A field, without making the configuration."""
        return self._rows.value(self._row, name, otherwise)

    def label(self, name: str, otherwise: Any = None) -> Any:
        """A label, without making the others."""
        return self._rows.label(self._row, name, otherwise)


def values(runs: Sequence[Run], name: str, otherwise: Any = None) -> Iterable[Any]:
    """A field of each of many runs, as `Run.value` gives it."""
    return _column(runs, name, otherwise, label=False) or (run.value(name, otherwise) for run in runs)


def labels(runs: Sequence[Run], name: str, otherwise: Any = None) -> Iterable[Any]:
    """A label of each of many runs, as `Run.label` gives it."""
    return _column(runs, name, otherwise, label=True) or (run.label(name, otherwise) for run in runs)


def _column(runs: Sequence[Run], name: str, otherwise: Any, label: bool) -> Iterable[Any] | None:
    """The same read from the column, where all runs were kept in one table: that takes a tenth of asking each."""
    tables = {id(run.__dict__.get("_rows")): run.__dict__.get("_rows") for run in runs}
    table = next(iter(tables.values()), None)
    if table is None or len(tables) > 1:
        return None
    column = table.column(name, label)
    if column is None:
        return repeat(otherwise, len(runs))
    return column.at(run.__dict__["_row"] for run in runs)
