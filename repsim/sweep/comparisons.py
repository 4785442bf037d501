"""Owns the comparisons that a person asks for by hand: two networks, layers and measures → a sweep of one run per number.

The job tells, beside its contract, `KNOWN` (measure → what it reads: family, options) and `plan(configs, catalog, device)` (how
comparisons of one group are computed).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from repsim import job as jobs
from repsim.catalog import Catalog
from repsim.errors import InputError, SpecError, nearest, within
from repsim.job import Job, JobConfig
from repsim.project import Project
from repsim.sweep import known, single
from repsim.sweep import layers as selecting
from repsim.sweep import networks as zoo
from repsim.sweep.expand import Run, Sweep, as_run
from repsim.sweep.spec import Spec

COMPARE = "compare"
HERE = "repsim compare"
FULL = "full"  # among ranks: the layer as it is
OF_LAYERS = ("view", "align")  # fields that say how a layer is compared
OUTPUTS = "outputs"  # the family of measures that compare what networks answer, not a layer
BY_NAME = {"front_network": "A", "end_network": "B", "front_epoch": "A@EPOCH", "end_epoch": "B@EPOCH", "measure": "--measures"}
BY_NAME |= {"front_layer": "--layers", "end_layer": "--end-layers", "front_rank": "--ranks", "end_rank": "--end-ranks"}
"""What says a field that may not be set besides."""


@dataclass(frozen=True)
class Asked:
    """What is compared, in a person's words.

    Attributes:
        measures: names.
        layers: names, globs, kinds, `all`, or what the job has beside; of A, and of B where `end_layers` does not say.
        ranks, end_ranks: of the approximations that take the place of layers; None: the layer as it is.
        fields: further fields of the job's Config; each measure takes those that it reads.
    """

    measures: Sequence[str]
    layers: Sequence[str]
    end_layers: Sequence[str] | None = None
    ranks: Sequence[int | None] = (None,)
    end_ranks: Sequence[int | None] = (None,)
    fields: Mapping[str, Any] = field(default_factory=dict)


def sweep_of(project: Project, front: str, end: str, asked: Asked) -> Sweep:
    """A sweep of comparisons under the ids that any sweep would give them; checked as a sweep is.

    Args:
        front, end: names of networks (`known.find`), with @10 behind: as its training kept it after epoch 10.

    Raises: InputError for networks and checkpoints, SpecError for measures, layers and fields that cannot be meant.
    """
    job = jobs.load(project.jobs, COMPARE)
    _refuse(job, asked)
    there = known.everything(project)
    (f, f_epoch), (g, g_epoch) = _network(project, there, front, "A"), _network(project, there, end, "B")
    catalog = Catalog(project.data_folders, project.cache)
    for one in (f, g):
        catalog.register(one.run, one.facts, dataset=one.dataset)
    place = {**zoo.place(f, g, "", "", job), "front_epoch": f_epoch, "end_epoch": g_epoch}
    ends = asked.layers if asked.end_layers is None else asked.end_layers
    flag = "--layers" if asked.end_layers is None else "--end-layers"
    layers = _layers(job, catalog, f, asked.layers, "--layers"), _layers(job, catalog, g, ends, flag)
    runs: dict[str, Run] = {}
    for draft in _drafts(job, asked, *layers):
        config = single.config_of(job, {**place, **draft}, HERE)
        run = as_run(job, config, {"case": None, **{name: getattr(config, name) for name in sorted(job.config.labels)}})
        runs.setdefault(run.id, run)
    _check(job, [run.config for run in runs.values()], catalog)
    return Sweep(COMPARE, project.root, Spec(job=COMPARE), {COMPARE: job}, (), tuple(runs.values()), catalog=catalog)


def plan(project: Project, sweep: Sweep, runs: Sequence[Run], device: str) -> Any:
    """What the job says of how `runs` of one group are computed there: an object with lines() and as_dict()."""
    job, catalog = sweep.jobs[COMPARE], Catalog(project.data_folders, project.cache)
    needed = {run for one in runs for run in one.inputs}
    for one in (network for network in known.everything(project) if network.run in needed):
        catalog.register(one.run, one.facts, dataset=one.dataset)
    hook = job.hook("plan")
    assert hook, f"{job.path} compares networks but offers no plan(configs, catalog, device)"
    return hook([run.config for run in runs], catalog, device)


def names_of(text: str, flag: str) -> list[str]:
    """ "cka, procrustes" → ["cka", "procrustes"]; SpecError for none."""
    names = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        raise SpecError("names nothing", where=flag, do="write names separated by commas")
    return names


def ranks_of(text: str | None, flag: str) -> list[int | None]:
    """ "1,2,full" → [1, 2, None]; nothing said: [None]."""
    if text is None:
        return [None]
    words = names_of(text, flag)
    if not all(word == FULL or (word.isascii() and word.isdigit()) for word in words):
        raise SpecError(f"'{text}' is no list of ranks", where=flag, do=f"write it as in {flag} 1,2,4,{FULL}")
    return [None if word == FULL else int(word) for word in words]


def _refuse(job: Job, asked: Asked) -> None:
    """Raise SpecError for measures that are not known, and for fields that none of them reads or that the command says."""
    measures = _known(job)
    for name in asked.measures:
        if name not in measures:
            raise SpecError(f"there is no measure '{name}'", where="--measures", do=nearest(name, measures))
    if all(measures[name].family == OUTPUTS for name in asked.measures):
        _refuse_of_layers(asked)
    for key in asked.fields:
        if key not in job.config.model_fields:
            raise SpecError(f"unknown key '{key}'", where=HERE, do=nearest(key, job.config.model_fields))
        if key in BY_NAME or key in job.config.labels:
            raise SpecError(f"'{key}' follows from {BY_NAME.get(key, 'A and B')}", where=HERE, do="do not set it")
        readers = [name for name, one in measures.items() if key in one.options]
        if readers and not set(readers) & set(asked.measures):
            raise SpecError(
                f"'{key}' is read by none of the measures", where=HERE, do=f"leave it out; it is for {', '.join(readers)}"
            )


def _refuse_of_layers(asked: Asked) -> None:
    """Raise SpecError for what says how a layer is compared, where every measure compares what networks answer."""
    ranks = {"--ranks": asked.ranks, "--end-ranks": asked.end_ranks}
    said = [*(f"--{name}" for name in OF_LAYERS if name in asked.fields), *(flag for flag in ranks if any(ranks[flag]))]
    if said:
        raise SpecError("none of the measures compares layers", where=said[0], do="leave it out, or name such a measure")


def _drafts(job: Job, asked: Asked, fronts: Sequence[str], ends: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The fields of each number, measure by measure, rank by rank, layer by layer."""
    options = {name for one in _known(job).values() for name in one.options}
    for measure in asked.measures:
        told = _known(job)[measure]
        fields = {key: value for key, value in asked.fields.items() if key in told.options or key not in options}
        if told.family == OUTPUTS:
            (layer,) = job.also_layers
            said = {key: value for key, value in fields.items() if key not in OF_LAYERS}
            yield {"measure": measure, "front_layer": layer, "end_layer": layer, **said}
            continue
        for front_rank, end_rank, front, end in product(asked.ranks, asked.end_ranks, fronts, ends):
            place = {"front_layer": front, "end_layer": end, "front_rank": front_rank, "end_rank": end_rank}
            yield {"measure": measure, **place, **fields}


def _layers(job: Job, catalog: Catalog, network: known.Known, words: Sequence[str], flag: str) -> list[str]:
    """The layers that `words` mean, in the order of the network, then what the job has beside."""
    wanted = ["*" if word == "all" else word for word in words]
    return selecting.select(catalog.layers(network.facts), wanted, network.facts.arch, flag, job.also_layers)


def _network(project: Project, there: Sequence[known.Known], name: str, where: str) -> tuple[known.Known, int | None]:
    """The network that NAME or NAME@EPOCH means, and the epoch."""
    name, at, epoch = name.partition("@")
    found = known.find(project, there, name, where)
    if not at:
        return found, None
    kept = sorted(int(file.stem.removeprefix("epoch_")) for file in (project.artefacts / found.run).glob("epoch_*.pt"))
    if not (epoch.isascii() and epoch.isdigit() and int(epoch) in kept):
        do = f"kept: {', '.join(map(str, kept))}" if kept else "train with checkpoint_every: 10"
        raise InputError(f"{found} was not kept after epoch '{epoch}'", where=where, do=do)
    return found, int(epoch)


def _check(job: Job, configs: Sequence[JobConfig], catalog: Catalog) -> None:
    if hook := job.hook("check"):
        with within(HERE):
            for config in configs:
                hook(config, catalog)


def _known(job: Job) -> Mapping[str, Any]:
    return job.module.KNOWN
