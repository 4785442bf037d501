"""Owns the files of table definitions: results/tables/NAME.yaml, which sweep each is of, and what it says of its table.

sweep: tiny10_import           # the sweep whose runs are shown
title: Least squares or training?
rows: [front_layer]            # further keys are those of TableDefinition; what is not said is as the sweep says
where: {case: ['linear*', matched]}
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from repsim import yamlfile
from repsim.errors import SpecError, nearest
from repsim.job import NAME
from repsim.project import Project
from repsim.tabledefinition import TableDefinition

SUFFIX = ".yaml"


class TableFile(TableDefinition):
    """The shape of such a file."""

    sweep: str = Field(pattern=NAME, description="whose runs are shown: the name of a file in sweeps/")
    plot: dict[str, Any] = Field(default={}, description="how it is drawn: see `repsim.plotdefinition`")


@dataclass(frozen=True)
class Filed:
    """A definition as its file says it: only what it says; `plot` of its picture, the rest of the table."""

    path: Path
    sweep: str
    said: dict[str, Any]
    plot: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Filed:
    """The definition at `path`. Raises SpecError with file and key path."""
    data = yamlfile.read(path)
    if isinstance(data, dict) and "job" in data:
        raise SpecError("the job is that of the sweep", where=f"{path}: job", do="remove it")
    found = yamlfile.validate(TableFile, data, str(path))
    said = found.model_dump(exclude_unset=True)
    return Filed(path, said.pop("sweep"), plot=said.pop("plot", {}), said=said)


def find(name: str, project: Project) -> Path:
    """The file that is meant: a path that ends in .yaml, or a name in results/tables/, never a path made of a name.

    Raises: SpecError with the definitions that there are.
    """
    if name.endswith(SUFFIX) and Path(name).is_file():
        return Path(name)
    if path := named(name, project):
        return path
    raise SpecError("there is no such table", where=name, do=nearest(name.removesuffix(SUFFIX), there(project)))


def named(name: str, project: Project) -> Path | None:
    """The file of that name in results/tables/, if it is a name and there is one."""
    stem = name.removesuffix(SUFFIX)
    path = project.tables / f"{stem}{SUFFIX}"
    return path if re.fullmatch(NAME, stem) and path.is_file() else None


def there(project: Project) -> list[str]:
    """Names of all definitions in results/tables/."""
    return sorted(path.stem for path in project.tables.glob(f"*{SUFFIX}"))


def is_one(path: Path) -> bool:
    """Whether a file defines a table, and no sweep: no sweep names a sweep."""
    data = yamlfile.read(path)
    return isinstance(data, dict) and "sweep" in data
