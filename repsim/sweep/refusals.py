"""Owns what an expansion refuses before it builds a run: unknown keys, blocks out of place, sweeps too large to hold."""

from math import prod

from repsim.errors import SpecError, nearest
from repsim.job import Job
from repsim.sweep.spec import Spec

PLACE = {"front_network", "end_network", "front_arch", "end_arch", "front_seed", "end_seed", "front_layer", "end_layer", "dataset"}
"""Fields that the zoo, pairs and layers blocks set."""
MAX_RUNS = 1_000_000


def refuse_unknown(spec: Spec, job: Job, where: str) -> None:
    """Unknown fields are caught once per block, before thousands of runs are built."""
    blocks = {"fixed": spec.fixed, "grid": spec.grid, "zip": spec.zip, **{f"cases.{n}": c for n, c in spec.cases.items()}}
    for block, fields in blocks.items():
        for key in fields:
            if key not in job.config.model_fields:
                raise SpecError(f"unknown key '{key}'", where=f"{where}: {block}.{key}", do=nearest(key, job.config.model_fields))


def refuse_misplaced(spec: Spec, job: Job, where: str) -> None:
    """A zoo is for jobs that compare networks, and these need one; `fixed` may not set what the pairs set."""
    compares = "front_network" in job.config.model_fields
    if spec.zoo and not compares:
        raise SpecError(f"the job '{job.name}' compares no networks", where=f"{where}: zoo", do="use grid and fixed instead")
    if compares and not spec.zoo:
        raise SpecError(f"the job '{job.name}' needs networks", where=where, do="add a zoo block: arch, dataset, seeds")
    clash = sorted(spec.fixed.keys() & PLACE) if spec.zoo else []
    if clash:
        raise SpecError(f"'{clash[0]}' is set by the zoo", where=f"{where}: fixed.{clash[0]}", do="remove it")


def refuse_too_many(spec: Spec, where: str, places: int = 1) -> None:
    """Said before memory is full."""
    cases = sum(prod(map(len, fields.values())) for fields in spec.cases.values()) or 1
    runs = prod(map(len, spec.grid.values())) * max([len(values) for values in spec.zip.values()], default=1) * cases * places
    if runs > MAX_RUNS:
        raise SpecError(f"the sweep holds {runs:,} runs, more than {MAX_RUNS:,}", where=where, do="split it, or shorten an axis")
