"""Owns the contract of a job file: what `jobs/*.py` must offer, and how one is loaded by path.

A job file has a light top (pydantic only; torch is imported inside `run`):

    VERSION = 1                                  bumped when the same Config would give other numbers
    class Config(JobConfig): ...                 only what changes the result, and the labels
    class Row(JobRow): ...                       one documented field per column
    def inputs(config) -> list[RunId]: ...       runs whose artefacts this one reads
    def group_key(config) -> Hashable: ...       runs with equal keys share models, data and forward passes
    def run(configs, context) -> Iterator[Row]   one row per config of one group, in any order

and may offer

    def network(config) -> NetworkFacts: ...     for jobs whose artefact is a network
    def kept(config) -> Sequence[int]: ...       epochs after which such a job keeps the network, as front_epoch names them
    def work(config) -> float: ...               the size of a run, in units of which PRIOR_RATE is the seconds
    def group_work(configs, catalog, device) -> float   instead: of a group whose runs share what they cost
    def check(config, catalog) -> None: ...      raises UserError for what a type cannot say (layers, data sets)
    ALSO_LAYERS = ("logits",)                    what `layers` may name beside the layers of a network
    WORDS = {"measure": {"all": [...]}}          words that a sweep may say for several values of a field
    RESUMES = True                               a group that was told to stop goes on from where it was when it is begun again

What the `zoo` of a sweep is to a job, the fields of its Config tell: `front_network` and `end_network`, one run per pair
of networks and of layers; `network`, one run per network; `network` and `layer`, one per network and layer. The job `train`
has one run per network that it makes.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from repsim.errors import Interrupted, SpecError, nearest

RunId = str
NETWORK = "network.pt"  # the artefact of a run that makes a network
STITCHER = "stitcher.pt"  # the artefact of a stitch that was asked to save
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"


class JobConfig(BaseModel):
    """One run. Frozen and strict; `labels` names fields that people read and that never change a result.

    `apart` names fields, beside the labels, that only their own type judges: neither `refusals` nor the job's `check` read
    them, but that `check` asks the catalog of the networks. So the thousands of runs that differ in these alone are judged once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    labels: ClassVar[frozenset[str]] = frozenset()
    apart: ClassVar[frozenset[str]] = frozenset()

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """(is it so?, why it is refused) of everything that no such run can mean; the field comes first."""
        return ()

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        if type(self).refusals is not JobConfig.refusals and (why := _refused(Alike(joined(self), self))):
            raise ValueError(why)
        return self


@dataclass(frozen=True)
class Alike:
    """A config that stands for all of equal `values`."""

    values: Hashable
    config: JobConfig = field(compare=False)


def joined(config: JobConfig) -> tuple[Any, ...]:
    """What rules may read of `config`: the values of all fields but labels and `apart`, and of what they are."""
    return type(config), *_reader(type(config))(config.__dict__)


@lru_cache(maxsize=32)
def _reader(model: type[JobConfig]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    names = [name for name in model.model_fields if name not in model.labels | model.apart]
    return itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)


@lru_cache(maxsize=10_000)
def _refused(alike: Alike) -> str | None:
    return next((why for refused, why in alike.config.refusals() if refused), None)


class JobRow(BaseModel):
    """What one run measured; every field is a column of the store."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run_id: RunId = Field(description="id of the run that measured this row")
    outcome: Literal["ok", "diverged"] = Field(
        "ok", description="diverged: the loss or the weights were not finite, or the start to be trained from was not found"
    )


@dataclass(frozen=True)
class NetworkFacts:
    """What must be known of a network to build it: enough to list its layers without its weights."""

    arch: str
    width: int | None
    classes: int
    channels: int
    size: int
    depth: int | None = None

    @property
    def label(self) -> str:
        """The architecture, with width and depth where they are given, as in mcnn-w16 or allcnn-d3."""
        parts = [self.arch] + [f"{letter}{n}" for letter, n in (("w", self.width), ("d", self.depth)) if n is not None]
        return "-".join(parts)

    def __str__(self) -> str:
        said = [f"{name} {n}" for name, n in (("width", self.width), ("depth", self.depth)) if n is not None]
        named = f"{self.arch} of {' and '.join(said)}" if said else self.arch
        return f"{named} ({self.classes} classes, {self.channels}×{self.size}×{self.size} input)"


@dataclass(frozen=True)
class Context:
    """What the world gives to a job: where to compute, where to read and write, and whether to stop."""

    device: str
    data_folders: tuple[Path, ...]
    cache: Path
    artefacts: Path
    run_id: Callable[[JobConfig], RunId]
    report: Callable[[float, str], None] = lambda fraction, text: None
    should_stop: Callable[[], bool] = lambda: False
    time_left: Callable[[], float] = lambda: float("inf")
    steps: int | None = None  # a dry run: do no more than this many steps of each loop
    beside: int = 1  # processes that share this machine's memory, this one among them

    def artefact(self, run: RunId, name: str) -> Path:
        """Path of artefact `name` (say "network.pt") of `run`; its folder is made."""
        folder = self.artefacts / run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def tick(self, fraction: float = 0.0, text: str = "") -> None:
        """Report progress (0 to 1) and leave by `Interrupted` when told to stop; call it every step."""
        if self.should_stop():
            raise Interrupted
        self.report(fraction, text)


@dataclass(frozen=True)
class Job:
    """A loaded job file."""

    name: str
    path: Path
    module: ModuleType
    digest: str

    @property
    def version(self) -> int:
        return self.module.VERSION

    @property
    def config(self) -> type[JobConfig]:
        return self.module.Config

    @property
    def row(self) -> type[JobRow]:
        return self.module.Row

    @property
    def also_layers(self) -> tuple[str, ...]:
        return getattr(self.module, "ALSO_LAYERS", ())

    @property
    def words(self) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        return getattr(self.module, "WORDS", {})

    @property
    def resumes(self) -> bool:
        return getattr(self.module, "RESUMES", False)

    def inputs(self, config: JobConfig) -> list[RunId]:
        """Ids of the runs whose artefacts `config` reads."""
        return self.module.inputs(config)

    def group_key(self, config: JobConfig) -> Hashable:
        """Runs with equal keys are given to `run` together."""
        return self.module.group_key(config)

    def run(self, configs: Sequence[JobConfig], context: Context) -> Iterator[JobRow]:
        """Do the runs of one group; yields one row per config."""
        return self.module.run(configs, context)

    def hook(self, name: str) -> Callable[..., Any] | None:
        """An optional function of the contract (`network`, `kept`, `check`), or None."""
        return getattr(self.module, name, None)


REQUIRED = ("VERSION", "Config", "Row", "inputs", "group_key", "run")


def load(folder: Path, name: str) -> Job:
    """The job `name` from `folder`/NAME.py; its source is hashed so that a worker can check what it runs."""
    path = folder / f"{name}.py"
    if not path.is_file():
        choices = [p.stem for p in folder.glob("*.py")]
        raise SpecError(f"there is no job '{name}'", where=str(folder), do=nearest(name, choices))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    try:
        module = _execute(path, f"repsim_job_{name}_{digest}")
    except Exception as error:
        raise SpecError(f"the job file cannot be loaded: {type(error).__name__}: {error}", where=str(path)) from error
    missing = [part for part in REQUIRED if not hasattr(module, part)]
    if missing:
        raise SpecError(f"the job file lacks {', '.join(missing)}", where=str(path), do="see repsim/job.py for the contract")
    return Job(name, path, module, digest)


def _execute(path: Path, module_name: str) -> ModuleType:
    """Import the file at `path`; registered before it is executed, as pydantic and pickle look there."""
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
