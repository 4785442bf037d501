"""Owns the cache of expansions: the runs of a large sweep, to be read in a tenth of the time that it takes to form them.

results/cache/expanded/HASH.json   its first line is the hash of the rest: the key, and the runs in columns

One file per sweep file, swapped by rename. The key holds all that an expansion reads: the sweep file, the networks with their
layers, the code of repsim and of the jobs, and what lies in the data folders. A file that is damaged, alien, or of another key is
passed over, and made anew.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from repsim import code
from repsim.catalog import Catalog
from repsim.errors import UserError
from repsim.identity import SINGLE, digest, is_plain
from repsim.job import Job, JobConfig
from repsim.project import Project
from repsim.sweep import coded
from repsim.sweep.coded import Column
from repsim.sweep.networks import Network
from repsim.sweep.run import Recalled, Run
from repsim.sweep.spec import Spec

FORMAT = 2
LEAST = 2000  # runs: fewer are formed as fast as they are read
Found = tuple[tuple[Run, ...], int]
"""Runs in their order, and how many equal ones were merged."""


def key(project: Project, spec: Spec, nets: Sequence[Network], catalog: Catalog) -> str:
    """Hash of all that decides which runs a sweep has, and whether they pass their checks. UserError: a network cannot be built."""
    facts = sorted({net.facts for net in nets}, key=repr)
    said = {
        "format": [FORMAT, platform.python_version()],
        "code": code.content_hash(project),
        "spec": json.loads(spec.model_dump_json()),
        "networks": [[*_said(net), net.config.model_dump(mode="json")] for net in nets],
        "layers": [[asdict(one), catalog.layers(one)] for one in facts],
        "data": [[str(folder), *_lying_in(folder)] for folder in catalog.data_folders],
    }
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()


def _said(net: Network) -> tuple[Any, ...]:
    kept = None if net.kept is None else list(net.kept)
    return net.run, net.job, asdict(net.facts), net.arch, net.dataset, net.seed, kept


def _lying_in(folder: Path, depth: int = 2) -> Iterator[list[Any]]:
    """Names, sizes and times of the files of a data folder and of its folders; of what lies deeper the times of its folders."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            there = entry.stat()
            yield [entry.path, there.st_size, there.st_mtime_ns]
            if depth > 1 and entry.is_dir():
                yield from _lying_in(Path(entry.path), depth - 1)


@dataclass(frozen=True)
class Shelf:
    """Where the expansion of one sweep file is kept; `make_key` is asked only if it is needed."""

    file: Path
    job: Job
    make_key: Callable[[], str]

    @cached_property
    def key(self) -> str:
        return self.make_key()

    def read(self) -> Found | None:
        """What is kept under the key of now."""
        if not self.file.is_file() or not is_plain(self.job.config):
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, UserError):
            head, _, text = self.file.read_text().partition("\n")
            said = json.loads(text) if head == _hash(text) else None
            if isinstance(said, dict) and (said["key"], said["order"]) == (self.key, coded.ORDER):
                return _runs(said, self.job), said["merged"]
        return None

    def keep(self, runs: Sequence[Run], merged: int) -> None:
        """Write it, where that is worth it and can be done."""
        if len(runs) < LEAST or not (is_plain(self.job.config) and all(map(_has_plain_labels, runs))):
            return
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        with suppress(OSError, UserError):
            said = {"key": self.key, "order": coded.ORDER, "merged": merged, **_written(runs)}
            text = json.dumps(said)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(f"{_hash(text)}\n{text}")
                temporary.replace(self.file)
            finally:
                temporary.unlink(missing_ok=True)


def _has_plain_labels(run: Run) -> bool:
    """Whether JSON gives back each label as it was."""
    return all(type(value) in SINGLE for value in run.labels.values())


def shelf(project: Project, path: Path, job: Job, make_key: Callable[[], str]) -> Shelf:
    """The one of the sweep file at `path`."""
    return Shelf(project.cache / "expanded" / f"{digest(str(path.absolute()))}.json", job, make_key)


class Table:
    """Fields and labels of runs of one job, in columns."""

    def __init__(self, model: type[JobConfig], fields: dict[str, Column], labels: dict[str, Column], given: Column):
        self._model, self._fields, self._labels, self._given = model, fields, labels, given

    def config(self, row: int) -> JobConfig:
        """It was checked when it was written, and plain values come back as they were: it is not checked again."""
        return self._model.model_construct(set(self._given[row]), **{name: column[row] for name, column in self._fields.items()})

    def labels(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self._labels.items()}

    def column(self, name: str, label: bool) -> Column | None:
        """That of a label or field; None: there is none of that name."""
        return (self._labels if label else self._fields).get(name)

    def value(self, row: int, name: str, otherwise: Any) -> Any:
        return self._fields[name][row] if name in self._fields else otherwise

    def label(self, row: int, name: str, otherwise: Any) -> Any:
        return self._labels[name][row] if name in self._labels else otherwise


def _written(runs: Sequence[Run]) -> dict[str, Any]:
    """Runs of one plain job as plain JSON: the ids as one text, what kinds share once for each kind, all else in columns."""
    model, dictionaries = type(runs[0].config), [run.config.__dict__ for run in runs]
    kinds = coded.objects(run.kind for run in runs)
    own = [name for name in model.model_fields if name in model.labels | model.apart]
    return {
        "ids": " ".join(run.id for run in runs),
        "kinds": coded.written(kinds.valued(list(range(len(kinds.values))))),
        "given": [sorted(kind.config.model_fields_set) for kind in kinds.values],
        "shared": {name: [getattr(kind.config, name) for kind in kinds.values] for name in model.model_fields if name not in own},
        "own": {name: coded.written(coded.of(one[name] for one in dictionaries)) for name in own},
        "inputs": coded.written(coded.of(run.inputs for run in runs)),
        "groups": coded.written(coded.of(map(attrgetter("group"), runs))),
        "labels": {name: coded.written(coded.of(run.labels[name] for run in runs)) for name in runs[0].labels},
    }


def _runs(said: dict[str, Any], job: Job) -> tuple[Run, ...]:
    ids = said["ids"].split(" ")
    kinds = coded.read(said["kinds"], len(ids))
    shared = {name: kinds.valued(values) for name, values in said["shared"].items()}
    own, labels = ({name: coded.read(one, len(ids)) for name, one in said[block].items()} for block in ("own", "labels"))
    table = Table(job.config, shared | own, labels, kinds.valued(said["given"]))
    inputs = coded.read(said["inputs"], len(ids))
    networks = inputs.valued([tuple(one) for one in inputs.values]).all(len(ids))
    groups = coded.read(said["groups"], len(ids)).all(len(ids))
    each = enumerate(zip(ids, networks, groups, strict=False))
    return tuple(Recalled(table, row, {"id": run, "job": job.name, "inputs": of, "group": group}) for row, (run, of, group) in each)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
