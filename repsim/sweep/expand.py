"""Owns the expansion: sweep file → ordered list of runs, each checked and named before anything is sent.

Order, outermost first: grid (in file order, so that with `grid: {seed: …}` every cell has one seed before any
has two), zip, place, case. A place is a pair of networks at a pair of layers, one network, or (`job: train`) a network
to be trained. Values: `fixed` < place < grid and zip < case. Then `exclude`; last, equal runs are merged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repsim import job as jobs
from repsim import store, yamlfile
from repsim.catalog import Catalog
from repsim.errors import within
from repsim.identity import digest, id_of
from repsim.job import Job, JobConfig, RunId
from repsim.project import Project
from repsim.sweep import networks as zoo
from repsim.sweep import refusals
from repsim.sweep.exclude import Draft, kept
from repsim.sweep.layers import layer_pairs
from repsim.sweep.networks import IMPORT, TRAIN, Network
from repsim.sweep.spec import Spec, load


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
        return getattr(self.config, "dataset", "none")

    @property
    def slug(self) -> str:
        """What a person reads: the labels, then the id."""
        words = [str(v) for v in self.labels.values() if v is not None]
        return "/".join([*words, self.id])


@dataclass(frozen=True)
class Sweep:
    """An expanded sweep file: its runs, and before them the runs that make its networks."""

    name: str
    path: Path
    spec: Spec
    jobs: dict[str, Job]
    networks: tuple[Run, ...]
    runs: tuple[Run, ...]
    merged: int = 0
    catalog: Catalog | None = field(default=None, compare=False, repr=False)  # of its networks

    @property
    def all_runs(self) -> tuple[Run, ...]:
        return self.networks + self.runs


def open_sweep(path: Path, project: Project) -> Sweep:
    """Read and expand the sweep file at `path`; every run in it is checked."""
    with within(str(path)):
        return expand(load(path), project, path.stem, path, str(path))


def expand(spec: Spec, project: Project, name: str, path: Path, where: str) -> Sweep:
    """The sweep that `spec` means; every run is checked. `where` is what errors call the file."""
    job = jobs.load(project.jobs, spec.job)
    refusals.refuse_unknown(spec, job, where)
    refusals.refuse_misplaced(spec, job, where)
    refusals.refuse_too_many(spec, where)
    makers = [TRAIN, IMPORT] if spec.zoo and refusals.subject_of(job) != "training" else []
    loaded = {job.name: job} | {maker: jobs.load(project.jobs, maker) for maker in makers}
    catalog = Catalog(project.data_folders, project.cache)
    nets = zoo.networks(spec, loaded[TRAIN], loaded[IMPORT], lambda: _imports(project, loaded[IMPORT]), where) if makers else []
    for net in nets:
        catalog.register(net.run, net.facts, net.kept)
    networks = tuple(_network_run(net, loaded[net.job]) for net in nets)
    runs = [_run(spec, job, draft, where) for draft in kept(spec, list(_drafts(spec, nets, catalog, job, where)), job, where)]
    distinct: dict[RunId, Run] = {}
    for run in runs:
        distinct.setdefault(run.id, run)
    _check(loaded, [*networks, *distinct.values()], catalog, where)
    return Sweep(name, path, spec, loaded, networks, tuple(distinct.values()), len(runs) - len(distinct), catalog)


def _drafts(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[Draft]:
    places = list(_places(spec, nets, catalog, job, where)) if spec.zoo else [{}]
    cases = [variant for name, fields in spec.cases.items() for variant in _variants(name, fields)] or [{}]
    refusals.refuse_too_many(spec, where, len(places))
    for axes in _axes(spec):
        for place in places:
            for case in cases:
                yield {**spec.fixed, **place, **axes, **case}


def _places(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[Draft]:
    """What a run is about: a network to be trained, one network, or a pair of networks at a pair of layers."""
    subject = refusals.subject_of(job)
    if subject == "training":
        yield from zoo.trainings(spec, job, where)
    elif subject == "network":
        yield from (zoo.alone(net, job) for net in nets)
    else:
        yield from _cuts(spec, nets, catalog, job, where)


def _cuts(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[Draft]:
    """Where to cut: every pair of networks at every pair of layers."""
    known: dict[tuple[Any, Any], list[tuple[str, str]]] = {}
    for front, end in zoo.pairs(spec, list(nets), where):
        key = (front.facts, end.facts)
        if key not in known:
            known[key] = layer_pairs(spec, catalog, front, end, where, job.also_layers)
        for front_layer, end_layer in known[key]:
            yield zoo.place(front, end, front_layer, end_layer)


def _axes(spec: Spec) -> Iterator[Draft]:
    zipped = [dict(zip(spec.zip, row, strict=True)) for row in zip(*spec.zip.values(), strict=True)] or [{}]
    for values in product(*spec.grid.values()):
        for row in zipped:
            yield {**dict(zip(spec.grid, values, strict=True)), **row}


def _variants(name: str, fields: dict[str, list[Any]]) -> Iterator[Draft]:
    """A case with lists is several: `linear: {init: [random, ps_inv]}` → "linear random", "linear ps_inv"."""
    axes = [key for key, values in fields.items() if len(values) > 1]
    for values in product(*fields.values()):
        draft = dict(zip(fields, values, strict=True))
        yield {**draft, "case": " ".join([name, *(str(draft[key]) for key in axes)])}


def _run(spec: Spec, job: Job, draft: Draft, where: str) -> Run:
    case = draft.get("case")
    fields = {k: v for k, v in draft.items() if k != "case"}
    try:
        config = job.config.model_validate(fields)
    except ValidationError as error:
        raise yamlfile.explain(error, job.config, fields, where, _block_of(spec, job, error, case)) from None
    named = ["arch", "seed"] if spec.zoo and refusals.subject_of(job) == "training" else []
    return as_run(job, config, {"case": case, **{k: fields.get(k) for k in [*named, *sorted(job.config.labels)]}})


def _block_of(spec: Spec, job: Job, error: ValidationError, case: str | None) -> str:
    """The block of the file that set the first field in error."""
    loc = error.errors(include_url=False)[0]["loc"]
    name = str(case).split(" ")[0]
    if name in spec.cases and (not loc or loc[0] in spec.cases[name]):
        return f"cases.{name}"
    blocks = {"grid": spec.grid, "zip": spec.zip, "fixed": spec.fixed}
    blocks |= {key: block.training for key, block in zoo.keyed(spec)} if job.name == TRAIN else {}
    return next((block for block, said in blocks.items() if loc and loc[0] in said), "")


def _network_run(net: Network, job: Job) -> Run:
    run = as_run(job, net.config, {"arch": net.arch, "seed": net.seed})
    return Run(net.run, run.job, run.config, run.inputs, run.group, run.labels)


def as_run(job: Job, config: JobConfig, labels: dict[str, Any]) -> Run:
    """The run of `config`, under the id and in the group that every sweep gives it."""
    key = digest([job.name, repr(job.group_key(config))])
    return Run(id_of(job, config), job.name, config, tuple(job.inputs(config)), key, labels)


def _check(loaded: dict[str, Job], runs: Sequence[Run], catalog: Catalog, where: str) -> None:
    """What no type can say (layers, shapes, data sets): the job's own check, if it has one."""
    for run in runs:
        if hook := loaded[run.job].hook("check"):
            with within(" · ".join(filter(None, [where, run.labels.get("case")]))):
                hook(run.config, catalog)


def _imports(project: Project, importer: Job) -> list[dict[str, Any]]:
    return store.read(project.store, importer, ["run_id", *importer.config.model_fields]).to_pylist()
