"""Owns what one run of a sweep is; one whose sweep was expanded before makes its configuration when it is asked for."""

from dataclasses import dataclass
from typing import Any, Protocol

from repsim.job import JobConfig, RunId


@dataclass(frozen=True)
class Run:
    """One point of a sweep."""

    id: RunId
    job: str
    config: JobConfig
    inputs: tuple[RunId, ...]
    group: str
    labels: dict[str, Any]

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
