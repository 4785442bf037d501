"""Owns the expansion: sweep file → ordered list of runs, each checked and named before anything is sent.

Product → zip → when → include (see `repsim.sweep.points`) → exclude; last, equal runs are merged, and `order: shuffle` shuffles.
A place is a pair of networks at a pair of layers, one network, one at a layer, or (`job: train`) a network to be trained.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repsim import job as jobs
from repsim import store, yamlfile
from repsim.catalog import Catalog
from repsim.errors import SpecError, within
from repsim.identity import canonical, digest, id_of
from repsim.job import Job, JobConfig, RunId, joined
from repsim.project import Project
from repsim.sweep import kept, points, refusals, words
from repsim.sweep import networks as zoo
from repsim.sweep.exclude import Draft, sifted
from repsim.sweep.forming import Formed, Former
from repsim.sweep.layers import layer_names, layer_pairs
from repsim.sweep.networks import IMPORT, TRAIN, Network
from repsim.sweep.run import Run
from repsim.sweep.spec import Spec, load


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


@dataclass
class Trace:
    """What an expansion went through: points with their runs, equal ones too, and what each rule of `exclude` took out."""

    made: list[tuple[Draft, Run]] = field(default_factory=list)
    taken: list[list[Draft]] = field(default_factory=list)


def open_sweep(path: Path, project: Project, trace: Trace | None = None) -> Sweep:
    """Read and expand the sweep file at `path`; every run in it is checked."""
    with within(str(path)):
        return expand(load(path), project, path.stem, path, str(path), trace)


def expand(spec: Spec, project: Project, name: str, path: Path, where: str, trace: Trace | None = None) -> Sweep:
    """The sweep that `spec` means; every run is checked. `where` is what errors call the file."""
    job = jobs.load(project.jobs, spec.job)
    spec = words.spelled(spec, job)
    refusals.refuse_unknown(spec, job, where)
    refusals.refuse_misplaced(spec, job, where)
    refusals.refuse_too_many(spec, where)
    makers = [TRAIN, IMPORT] if spec.zoo and refusals.subject_of(job) != "training" else []
    loaded = {job.name: job} | {maker: jobs.load(project.jobs, maker) for maker in makers}
    catalog = Catalog(project.data_folders, project.cache)
    imports = cache(lambda: _imports(project, loaded[IMPORT]))
    nets = zoo.networks(spec, loaded[TRAIN], loaded[IMPORT], imports, where) if makers else []
    for net in nets:
        catalog.register(net.run, net.facts, net.kept, net.dataset)
    networks = tuple(_network_run(net, loaded[net.job]) for net in zoo.seeds_first(spec, nets)) if nets else ()
    sweep = Sweep(name, path, spec, loaded, networks, (), catalog=catalog)
    shelf = kept.shelf(project, path, job, lambda: kept.key(project, spec, nets, catalog))
    found = None if trace else shelf.read()
    if not found:
        found = _runs(sweep, nets, where, trace or Trace())
        shelf.keep(*found)
    return replace(sweep, runs=found[0], merged=found[1])


def _runs(sweep: Sweep, nets: Sequence[Network], where: str, trace: Trace) -> kept.Found:
    """The runs of a sweep whose networks are known, checked and in order, and how many equal ones were merged."""
    spec, job, catalog = sweep.spec, sweep.jobs[sweep.spec.job], sweep.catalog
    assert catalog
    places = refusals.at_most(_places(spec, nets, catalog, job, where), where) if spec.zoo else [{}]
    refusals.refuse_too_many(spec, where, len(places))
    drafts, trace.taken = sifted(spec, refusals.at_most(points.drafts(spec, places, job, where), where), job, where)
    labels, former = _labels(spec, job), Former(job.config)
    trace.made = [(draft, _run(spec, job, draft, labels, former, where)) for draft in drafts]
    distinct = _distinct([run for _, run in trace.made], where)
    _check(sweep.jobs, [*sweep.networks, *distinct], catalog, where)
    return _ordered(distinct, spec), len(trace.made) - len(distinct)


def _distinct(runs: Iterable[Run], where: str) -> list[Run]:
    """Each run once, where it first stood. SpecError for one id of two configurations: one would pass for the other."""
    found: dict[RunId, Run] = {}
    for run in runs:
        first = found.setdefault(run.id, run)
        if first is not run and canonical(first.config) != canonical(run.config):
            what = f"two different runs have the id {run.id}: {first.slug} and {run.slug}"
            raise SpecError(what, where=where, do="raise VERSION of the job by one: all of its ids change")
    return list(found.values())


def _ordered(runs: Sequence[Run], spec: Spec) -> tuple[Run, ...]:
    """Shuffled: by a hash of seed and id, so that runs that come or go leave the order of the others as it is."""
    if spec.order == "seeds":
        return tuple(runs)
    seed = 0 if spec.order == "shuffle" else spec.order.shuffle
    return tuple(sorted(runs, key=lambda run: digest([seed, run.id])))


def _places(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[points.Fields]:
    """What a run is about: a network to be trained, one network, one at a layer, or a pair of networks at a pair of layers."""
    subject = refusals.subject_of(job)
    if subject == "training":
        yield from zoo.seeds_first(spec, zoo.trainings(spec, job, where))
    elif refusals.has_layer(job):
        yield from _at_layers(spec, nets, catalog, job, where)
    elif subject == "network":
        yield from (zoo.alone(net, job) for net in zoo.seeds_first(spec, nets))
    else:
        yield from _cuts(spec, nets, catalog, job, where)


def _at_layers(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[points.Fields]:
    """Every network at every layer that `layers` means; each kind of network is asked for its layers once."""
    named = cache(lambda facts: layer_names(spec, catalog.layers(facts), facts.arch, where, job.also_layers))
    for net in zoo.seeds_first(spec, nets):
        yield from ({**zoo.alone(net, job), "layer": layer} for layer in named(net.facts))


def _cuts(spec: Spec, nets: Sequence[Network], catalog: Catalog, job: Job, where: str) -> Iterator[points.Fields]:
    """Where to cut: every pair of networks at every pair of layers."""
    known: dict[tuple[Any, Any], list[tuple[str, str]]] = {}
    for front, end in zoo.pairs(spec, list(nets), where):
        key = (front.facts, end.facts)
        if key not in known:
            known[key] = layer_pairs(spec, catalog, front, end, where, job.also_layers)
        for front_layer, end_layer in known[key]:
            yield zoo.place(front, end, front_layer, end_layer, job)


def _labels(spec: Spec, job: Job) -> list[str]:
    """The fields that people know a run by."""
    named = ["arch", "seed"] if spec.zoo and refusals.subject_of(job) == "training" else []
    return [*named, *sorted(job.config.labels)]


def _run(spec: Spec, job: Job, draft: Draft, labels: Sequence[str], former: Former, where: str) -> Run:
    try:
        formed = former.form(draft.fields)
    except ValidationError as error:
        block = _blamed(spec, job, error, draft)
        found = yamlfile.explain(error, job.config, draft.fields, where, block)
        raise SpecError(found.what + _beside(spec, error, draft, block), where=found.where, do=found.do) from None
    return _as_run(job, formed, {"case": draft.case, **{name: draft.fields.get(name) for name in labels}})


def _blamed(spec: Spec, job: Job, error: ValidationError, draft: Draft) -> str:
    """The block of the file that set the first field in error; what is wrong with no single field is the last block's doing."""
    loc = error.errors(include_url=False)[0]["loc"]
    if not loc:
        return draft.blocks[-1] if draft.blocks else ""
    if job.name == TRAIN and (block := next((key for key, block in zoo.keyed(spec) if loc[0] in block.training), None)):
        return block
    block = points.block_of(spec, draft, str(loc[0]))
    return block if block and block not in points.GROUND else ""


def _beside(spec: Spec, error: ValidationError, draft: Draft, block: str) -> str:
    """What else has a part in an error: who said what a block inherits; where no single field is wrong, all that made the point."""
    loc = error.errors(include_url=False)[0]["loc"]
    if loc:
        return "".join(f" (inherited: {path})" for path in spec.inherited(block, str(loc[0])))
    others = [*draft.blocks[:-1], *(path for one in draft.blocks for path in spec.inherited(one))]
    return f" (with {', '.join(others)})" if others else ""


def _network_run(net: Network, job: Job) -> Run:
    run = as_run(job, net.config, {"arch": net.arch, "seed": net.seed})
    return Run(net.run, run.job, run.config, run.inputs, run.group, run.labels)


def as_run(job: Job, config: JobConfig, labels: dict[str, Any]) -> Run:
    """The run of `config`, under the id and in the group that every sweep gives it."""
    return _as_run(job, Formed(config), labels)


def _as_run(job: Job, formed: Formed, labels: dict[str, Any]) -> Run:
    config = formed.config
    group = _group(job.name, repr(job.group_key(config)))
    run = id_of(job, config, formed.pieces)
    return Run(run, job.name, config, tuple(job.inputs(config)), group, labels, formed.kind)


@lru_cache(maxsize=10_000)
def _group(job: str, key: str) -> str:
    """Runs of one group follow each other, so that most keys were just hashed."""
    return digest([job, key])


def _check(loaded: dict[str, Job], runs: Sequence[Run], catalog: Catalog, where: str) -> None:
    """What no type can say (layers, shapes, data sets): the job's own check, if it has one; once for runs that it sees alike."""
    hooks = {name: job.hook("check") for name, job in loaded.items()}
    passed: set[Hashable] = set()
    for run in runs:
        hook = hooks[run.job]
        seen = (run.kind or joined(run.config), *map(catalog.told, run.inputs))
        if hook is None or seen in passed:
            continue
        with within(" · ".join(filter(None, [where, run.labels.get("case")]))):
            hook(run.config, catalog)
        passed.add(seen)


def _imports(project: Project, importer: Job) -> list[dict[str, Any]]:
    return store.read(project.store, importer, ["run_id", *importer.config.model_fields]).to_pylist()
