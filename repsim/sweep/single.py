"""Owns the one stitch that a person asks for by hand: two networks, two layers and fields → a sweep of a single run."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from repsim import job as jobs
from repsim import yamlfile
from repsim.catalog import Catalog
from repsim.errors import SpecError, nearest, within
from repsim.job import Job, JobConfig
from repsim.project import Project
from repsim.sweep import known
from repsim.sweep import networks as zoo
from repsim.sweep.expand import Sweep, as_run
from repsim.sweep.spec import Spec

STITCH = "stitch"
HERE = "repsim stitch"
BY_NAME = {"front_network": "A", "end_network": "B", "front_layer": "--front-layer", "end_layer": "--end-layer"}
"""What says a field that may not be set besides; the labels follow from the networks."""


def sweep_of(project: Project, front: str, end: str, front_layer: str, end_layer: str, fields: dict[str, Any]) -> Sweep:
    """A sweep of one stitch, with the id that any sweep would give it; checked as a sweep is.

    Args:
        front, end: names of networks (`known.find`).
        fields: further fields of the job's Config. Without `stitcher` it is linear; without `init` and `epochs` it is
            matched directly (`init: matched`).

    Raises: InputError for networks, SpecError for fields, layers and shapes that cannot be meant.
    """
    job = jobs.load(project.jobs, STITCH)
    _refuse_fields(job, fields)
    there = known.everything(project)
    f, g = known.find(project, there, front, "A"), known.find(project, there, end, "B")
    unsaid = {"stitcher": "linear"} | ({} if fields.keys() & {"init", "epochs"} else {"init": "matched"})
    config = config_of(job, {**zoo.place(f, g, front_layer, end_layer, job), **unsaid, **fields}, HERE)
    check(job, config, project, (f, g), HERE)
    run = as_run(job, config, {"case": None, **{name: getattr(config, name) for name in sorted(job.config.labels)}})
    return Sweep(STITCH, project.root, Spec(job=STITCH), {STITCH: job}, (), (run,))


def fields_of(words: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """KEY=VALUE words, their values read as YAML, and the options that were given; none may be set twice."""
    found = {key: value for key, value in options.items() if value is not None}
    for word in words:
        key, value = _field(word)
        if key in found:
            raise SpecError(f"'{key}' is set twice", where=f"--set {word}", do="say it once")
        found[key] = value
    return found


def _field(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not equals or not value or not key.isidentifier():
        raise SpecError(
            "sets no field", where=f"--set {word}", do="write --set KEY=VALUE, as in --set lr=1.0e-3 or --set rank=null"
        )
    return key, yamlfile.parse(f"{key}: {value}", f"--set {word}")[key]


def _refuse_fields(job: Job, fields: dict[str, Any]) -> None:
    for key in fields:
        if key not in job.config.model_fields:
            raise SpecError(f"unknown key '{key}'", where=HERE, do=nearest(key, job.config.model_fields))
        if key in BY_NAME or key in job.config.labels:
            raise SpecError(f"'{key}' follows from {BY_NAME.get(key, 'A and B')}", where=HERE, do="do not set it")


def config_of(job: Job, draft: dict[str, Any], where: str) -> JobConfig:
    """`draft` as a Config, or a SpecError in the words of whoever wrote it."""
    try:
        return job.config.model_validate(draft)
    except ValidationError as error:
        raise yamlfile.explain(error, job.config, draft, where) from None


def check(job: Job, config: JobConfig, project: Project, networks: Sequence[known.Known], where: str) -> None:
    """What no type can say: the job's own check, if it has one."""
    catalog = Catalog(project.data_folders, project.cache)
    for network in networks:
        catalog.register(network.run, network.facts, dataset=network.dataset)
    if hook := job.hook("check"):
        with within(where):
            hook(config, catalog)
