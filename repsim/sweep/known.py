"""Owns the networks that a project has, trained here or imported, and which of them a person means by a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from repsim import job as jobs
from repsim import store
from repsim.errors import InputError, nearest
from repsim.job import NETWORK, Job, NetworkFacts, RunId
from repsim.project import Project
from repsim.sweep.expand import IMPORT, TRAIN
from repsim.sweep.networks import made

MAKERS = (TRAIN, IMPORT)
SHOWN = (
    *("run_id", "arch", "width", "depth", "dataset", "made", "recipe", "name", "seed", "data_seed"),
    *("outcome", "accuracy", "test_images", "started", "file"),
)
NAMES = "a run id or its beginning, or ARCH:SEED or ARCH:DATASET:SEED (see: repsim zoo list)"
MANY = 8  # candidates that an error lists


@dataclass(frozen=True)
class Known:
    """A network that has a row in the store."""

    job: Job
    row: dict[str, Any]

    @property
    def run(self) -> RunId:
        return self.row["run_id"]

    @property
    def facts(self) -> NetworkFacts:
        """What it takes to list its layers."""
        hook = self.job.hook("network")
        assert hook, f"{self.job.path} makes networks but offers no network(config)"
        asked = {name: self.row[name] for name in _asked(self.job)}  # null: as a field that is younger than the row, its default
        return hook(self.job.config.model_validate({name: value for name, value in asked.items() if value is not None}))

    @property
    def arch(self) -> str:
        return self.facts.label

    @property
    def label(self) -> str:
        """The same, told by its row alone."""
        return NetworkFacts(self.row["arch"], self.row["width"], 0, 0, 0, self.row.get("depth")).label

    @property
    def dataset(self) -> str:
        return self.row["dataset"]

    @property
    def seed(self) -> int:
        return self.row["seed"]

    @property
    def made(self) -> str:
        return self.row["made"]

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called beside its id; other networks may have the same names."""
        archs = dict.fromkeys((self.row["arch"], self.label))
        return tuple(name for arch in archs for name in (f"{arch}:{self.seed}", f"{arch}:{self.dataset}:{self.seed}"))

    def shown(self) -> dict[str, Any]:
        """What a list of networks shows of it; None for what its kind has not."""
        return {name: self.row.get(name) for name in SHOWN}

    def answers(self, wanted: Mapping[str, str | None]) -> bool:
        """Whether it is of that `arch` (also as mcnn-w16), `dataset` and `recipe` (or collection); globs, and None is any."""
        has = {"arch": (self.row["arch"], self.label), "dataset": (self.dataset,)}
        has["recipe"] = tuple(filter(None, (self.row.get("recipe"), self.row.get("name"))))
        return all(value is None or any(fnmatchcase(one, value) for one in has[key]) for key, value in wanted.items())

    def __str__(self) -> str:
        return f"{self.run} ({self.names[-1]}, {self.row['made']})"


def networks(project: Project, job_name: str) -> list[Known]:
    """Every network that runs of TRAIN or of IMPORT made, by architecture, width, data set, origin and seed."""
    job = jobs.load(project.jobs, job_name)
    found = [Known(job, _told(project, job, row)) for row in store.read(project.store, job).to_pylist()]
    return sorted(found, key=lambda n: (n.row["arch"], n.row["width"] or 0, n.dataset, n.row["made"], n.seed))


def everything(project: Project) -> list[Known]:
    """Every network of the project: those that were trained here, then those that were imported."""
    return [one for maker in MAKERS for one in networks(project, maker)]


def find(project: Project, known: Sequence[Known], name: str, where: str) -> Known:
    """The one network that `name` means. Raises InputError where there is none, several, or no file of it."""
    if not known:
        raise InputError("the project has no network", where=where, do="run a sweep, or see: repsim zoo import --help")
    meant = [one for one in known if name in one.names or (name and one.run.startswith(name))]
    if not meant:
        choices = [word for one in known for word in (one.run, *one.names)]
        raise InputError(f"no network is called '{name}'", where=where, do=f"{nearest(name, choices)} A name is {NAMES}")
    if len(meant) > 1:
        several = ", ".join(map(str, meant[:MANY])) + (", …" if len(meant) > MANY else "")
        raise InputError(f"'{name}' may mean {len(meant)} networks: {several}", where=where, do="name one by its id")
    _must_be_there(meant[0], where)
    return meant[0]


def _must_be_there(one: Known, where: str) -> None:
    if one.row["outcome"] == "diverged":
        raise InputError(f"{one} left no weights: it diverged", where=where, do="name another network")
    if not Path(one.row["file"]).is_file():
        do = "run the sweep that trained it again" if one.job.name == TRAIN else "import it again: repsim zoo import --help"
        raise InputError(f"{one} is gone", where=one.row["file"], do=do)


def _told(project: Project, job: Job, row: dict[str, Any]) -> dict[str, Any]:
    """A row with where the network comes from, and where it lies."""
    return {**row, "made": made(row), "file": str(project.artefacts / row["run_id"] / NETWORK)}


def _asked(job: Job) -> list[str]:
    """Fields whose column holds what was asked; under a name that Row has too stands what was used."""
    return [name for name in job.config.model_fields if name not in job.row.model_fields]
