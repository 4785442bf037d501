"""Owns what an expansion refuses before it builds a run: unknown keys, blocks out of place, sweeps too large to hold."""

from collections.abc import Iterable
from itertools import islice
from math import prod
from typing import Literal, TypeVar

from repsim.errors import SpecError, nearest
from repsim.job import Job
from repsim.sweep.exclude import condition
from repsim.sweep.networks import TRAIN
from repsim.sweep.spec import Spec

Subject = Literal["pair", "network", "training", "nothing"]
PLACE = {
    *("front_network", "end_network", "front_arch", "end_arch", "front_made", "end_made", "front_seed", "end_seed"),
    *("front_layer", "end_layer", "front_dataset", "end_dataset", "dataset"),
}
"""Fields that the zoo, pairs and layers blocks set."""
PAIRING = ("pairs", "layers", "cross")
"""Blocks that say how two networks are joined; `layers` also at which layers of one network a job works."""
SHORTEN = "split it, or shorten an axis"
MAX_LOOKS = 100_000_000  # points × rules: some minutes
One = TypeVar("One")
MAX_RUNS, MAX_NETWORKS = 1_000_000, 100_000


def refuse_unknown(spec: Spec, job: Job, where: str) -> None:
    """Unknown fields are caught once per block, before thousands of runs are built."""
    fields = job.config.model_fields
    for block, said in _blocks(spec).items():
        for key in said:
            if key not in fields:
                origin = "".join(f" (inherited: {path})" for path in spec.inherited(block, key))
                raise SpecError(f"unknown key '{key}'{origin}", where=f"{where}: {block}.{key}", do=nearest(key, fields))
    for index, entry in enumerate(spec.include):
        condition(entry, job, f"{where}: include.{index}")


def _blocks(spec: Spec) -> dict[str, Iterable[str]]:
    """The blocks that set fields by their own names, with their key paths."""
    blocks: dict[str, Iterable[str]] = {"fixed": spec.fixed, "grid": spec.grid, "zip": spec.zip}
    blocks |= {f"cases.{name}": case for name, case in spec.cases.items()}
    return blocks | {f"when.{index}.then": rule.then for index, rule in enumerate(spec.when)}


def refuse_misplaced(spec: Spec, job: Job, where: str) -> None:
    """A zoo is for jobs that work on networks, pairs and layers are for those that join two; no field is set twice."""
    subject = subject_of(job)
    if spec.zoo and subject == "nothing":
        raise SpecError(f"the job '{job.name}' works on no networks", where=f"{where}: zoo", do="use grid and fixed instead")
    if not spec.zoo and _lacks_networks(spec, job):
        raise SpecError(f"the job '{job.name}' needs networks", where=where, do="add a zoo block: arch, dataset, seeds")
    _refuse_pairing(spec, job, subject, where)
    if spec.zoo:
        _refuse_clash(spec, job, subject, where)


def subject_of(job: Job) -> Subject:
    """What a run of `job` works on: a pair of networks, one network, the network that it trains, or nothing of a zoo."""
    fields = job.config.model_fields
    if job.name == TRAIN:
        return "training"
    return "pair" if "front_network" in fields else "network" if "network" in fields else "nothing"


def has_layer(job: Job) -> bool:
    """Whether a run of `job` works at one layer of one network."""
    return subject_of(job) == "network" and "layer" in job.config.model_fields


def _lacks_networks(spec: Spec, job: Job) -> bool:
    """Whether a network is needed that no block names."""
    if subject_of(job) == "pair":
        return True
    field = job.config.model_fields.get("network")
    said = [spec.fixed, spec.grid, spec.zip, *spec.cases.values()]
    return field is not None and field.is_required() and not any("network" in block for block in said)


def _refuse_pairing(spec: Spec, job: Job, subject: Subject, where: str) -> None:
    meant = PAIRING if subject == "pair" else ("layers",) if has_layer(job) else ()
    said = [block for block in PAIRING if block in spec.model_fields_set and block not in meant]
    if said:
        what = f"the job '{job.name}' joins no two networks, so '{said[0]}' says nothing to it"
        raise SpecError(what, where=f"{where}: {said[0]}", do="remove it")


def _refuse_clash(spec: Spec, job: Job, subject: Subject, where: str) -> None:
    """`fixed` may not set what the zoo sets; nor may any block where the runs are the networks themselves."""
    blocks, taken = {"fixed": spec.fixed}, PLACE
    if subject == "network":
        taken = {"network", "dataset", *({"arch", "seed"} & job.config.labels), *(["layer"] if has_layer(job) else [])}
    if subject == "training":
        blocks, taken = _blocks(spec), {"arch", "dataset", "seed"}.union(*(block.training for block in spec.zoo))
    for block, fields in blocks.items():
        for key in sorted(taken.intersection(fields)):
            raise SpecError(f"'{key}' is set by the zoo", where=f"{where}: {block}.{key}", do="remove it")


def refuse_too_many(spec: Spec, where: str, places: int = 1) -> None:
    """Said before memory is full."""
    networks = sum(len(block.arch) * len(block.seeds) for block in spec.zoo)
    if networks > MAX_NETWORKS:
        what = f"the zoo holds {networks:,} networks, more than {MAX_NETWORKS:,}"
        raise SpecError(what, where=f"{where}: zoo", do="split the sweep, or name fewer seeds")
    cases = sum(prod(map(len, fields.values())) for fields in spec.cases.values()) or 1
    runs = prod(map(len, spec.grid.values())) * max([len(values) for values in spec.zip.values()], default=1) * cases * places
    if runs > MAX_RUNS:
        raise SpecError(f"the sweep holds {runs:,} runs, more than {MAX_RUNS:,}", where=where, do=SHORTEN)
    for block, rules in (("when", spec.when), ("include", spec.include), ("exclude", spec.exclude)):
        if len(rules) * runs > MAX_LOOKS:
            what = f"{len(rules):,} rules for {runs:,} points are too many"
            raise SpecError(what, where=f"{where}: {block}", do="say the same in fewer rules: values may be lists and globs")


def at_most(found: Iterable[One], where: str) -> list[One]:
    """All of `found`; SpecError as soon as there are more than a sweep may hold."""
    first = list(islice(found, MAX_RUNS + 1))
    if len(first) > MAX_RUNS:
        raise SpecError(f"the sweep holds more than {MAX_RUNS:,} runs", where=where, do=SHORTEN)
    return first
