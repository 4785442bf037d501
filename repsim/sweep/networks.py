"""Owns the zoo block: which networks a sweep is about, which run makes each, and which pairs are formed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, permutations, product, zip_longest
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from repsim import yamlfile
from repsim.errors import SpecError, nearest
from repsim.identity import id_of
from repsim.job import Job, JobConfig, NetworkFacts, RunId
from repsim.sweep.spec import Spec, Zoo

TRAIN, IMPORT = "train", "import_network"
"""The jobs that make networks."""
SHOWN = 40  # seeds that an error lists
One = TypeVar("One")
Imports = Callable[[], list[dict[str, Any]]]
"""Rows (run_id and the Config fields) of the networks that were imported into the store."""
TOLD_APART = {"width", "depth", "normalise"}
"""What tells imported networks of one collection, architecture and seed apart."""


@dataclass(frozen=True)
class Network:
    """One network of the zoo: the run that makes it, and what people call it."""

    run: RunId
    job: str
    config: JobConfig
    facts: NetworkFacts
    arch: str  # with the width where one is given, as in mcnn-w16
    dataset: str
    seed: int
    kept: Sequence[int] | None = None  # epochs after which its training keeps it besides; None: the job does not say

    @property
    def made(self) -> str:
        return made(self.config.model_dump())


class Named(Protocol):
    """What runs say of a network."""

    @property
    def run(self) -> RunId: ...
    @property
    def arch(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def made(self) -> str: ...


def made(fields: Mapping[str, Any]) -> str:
    """How a network came about: the collection that it was imported in, or the recipe and the adversary of its training."""
    if fields.get("recipe") is None:
        return f"imported: {fields['name']}"
    return " ".join(["trained:", fields["recipe"], *([fields["adversary"]] if fields.get("adversary") else [])])


def place(front: Named, end: Named, front_layer: str, end_layer: str, job: Job) -> dict[str, Any]:
    """The fields that two networks and two layers decide, of a job that joins them: as far as its Config has them."""
    said = {
        "dataset": end.dataset,
        "front_network": front.run,
        "end_network": end.run,
        "front_arch": front.arch,
        "end_arch": end.arch,
        "front_made": front.made,
        "end_made": end.made,
        "front_dataset": front.dataset,
        "end_dataset": end.dataset,
        "front_seed": front.seed,
        "end_seed": end.seed,
        "front_layer": front_layer,
        "end_layer": end_layer,
    }
    return {name: value for name, value in said.items() if name in job.config.model_fields}


def networks(spec: Spec, train: Job, importer: Job, imports: Imports, where: str) -> list[Network]:
    """All networks of the zoo, block by block, architecture by architecture, in the order of the seeds."""
    found = []
    for key, block in keyed(spec):
        refuse_seed(block, f"{where}: {key}")
        make = (
            _imported(block, importer, imports, f"{where}: {key}")
            if block.imported is not None
            else _trained(block, train, where, key)
        )
        found += [make(arch, seed) for arch in block.arch for seed in block.seeds]
    ids = [network.run for network in found]
    if len(set(ids)) < len(ids):
        raise SpecError("two blocks name the same network", where=f"{where}: zoo", do="remove one of them")
    return found


def alone(one: Named, job: Job) -> dict[str, Any]:
    """The fields that one network decides, of a job that works on single networks: as far as its Config has them.

    `arch`, `made` and `seed` are set where they are labels; as other fields they would be the job's own.
    """
    said = {"network": one.run, "dataset": one.dataset}
    labels = {"arch": one.arch, "made": one.made, "seed": one.seed}
    said |= {name: value for name, value in labels.items() if name in job.config.labels}
    return {name: value for name, value in said.items() if name in job.config.model_fields}


def trainings(spec: Spec, train: Job, where: str) -> Iterator[dict[str, Any]]:
    """The fields that the zoo decides of each network, where the runs of a sweep are the trainings themselves."""
    for key, block in keyed(spec):
        refuse_seed(block, f"{where}: {key}")
        if block.imported is not None:
            raise SpecError(
                "imported networks are not trained", where=f"{where}: {key}.imported", do="remove it, or see: repsim zoo list"
            )
        for name in block.training:
            if name not in train.config.model_fields:
                raise SpecError(
                    f"unknown key '{name}'", where=f"{where}: {key}.{name}", do=nearest(name, train.config.model_fields)
                )
        yield from (fields_of(block, arch, seed) for arch in block.arch for seed in block.seeds)


def seeds_first(spec: Spec, found: Iterable[One]) -> list[One]:
    """What there is one of per network, in the order of the zoo → the first seed of each block and architecture, the second, …"""
    turns = [turn for block in spec.zoo for _ in block.arch for turn in range(len(block.seeds))]
    return [one for _, one in sorted(zip(turns, found, strict=True), key=itemgetter(0))]


def keyed(spec: Spec) -> list[tuple[str, Zoo]]:
    """The blocks of the zoo with their key paths."""
    return [("zoo" if len(spec.zoo) == 1 else f"zoo.{index}", block) for index, block in enumerate(spec.zoo)]


def fields_of(block: Zoo, arch: str, seed: int) -> dict[str, Any]:
    """What a block says of the training of one of its networks."""
    return {"arch": arch, "dataset": block.dataset, "seed": seed, **block.training}


def refuse_seed(block: Zoo, where: str) -> None:
    """A block names its seeds under `seeds`."""
    if "seed" in block.training:
        raise SpecError("unknown key 'seed'", where=f"{where}.seed", do="did you mean 'seeds'?")


def pairs(spec: Spec, found: list[Network], where: str) -> Iterator[tuple[Network, Network]]:
    """(front, end) pairs, within each architecture unless `cross: true`; the architectures take turns."""
    pools = [found] if spec.cross else _by_arch(found)
    if spec.pairs == []:
        raise SpecError(
            "names no pair", where=f"{where}: pairs", do="write [[0, 1], [2, 3]], or leave it out for all ordered pairs"
        )
    formed = chain.from_iterable(zip_longest(*(_pairs(spec, pool, where) for pool in pools)))
    first = next((pair for pair in formed if pair), None)
    if first is None:
        raise SpecError("the zoo is too small for one pair", where=f"{where}: pairs", do="give more seeds, or pairs: self")
    yield first
    yield from (pair for pair in formed if pair)


def _pairs(spec: Spec, pool: list[Network], where: str) -> Iterator[tuple[Network, Network]]:
    if isinstance(spec.pairs, list):
        yield from _named_pairs(spec.pairs, pool, where)
    elif spec.pairs == "self":
        yield from ((n, n) for n in pool)
    elif spec.pairs == "disjoint":
        yield from zip(pool[::2], pool[1::2], strict=False)
    else:
        yield from (permutations if spec.pairs == "ordered" else combinations)(pool, 2)


def _named_pairs(wanted: list[list[int]], pool: list[Network], where: str) -> Iterator[tuple[Network, Network]]:
    by_seed: dict[int, list[Network]] = {}
    for network in pool:
        by_seed.setdefault(network.seed, []).append(network)
    for index, pair in enumerate(wanted):
        if len(pair) != 2:
            raise SpecError(f"a pair has two seeds, not {len(pair)}", where=f"{where}: pairs.{index}", do="write [[0, 1], [2, 3]]")
        for seed in pair:
            if seed not in by_seed:
                raise SpecError(f"no network has seed {seed}", where=f"{where}: pairs.{index}", do=_seeds(by_seed))
        yield from product(by_seed[pair[0]], by_seed[pair[1]])


def _seeds(there: Iterable[int]) -> str:
    first = sorted(there)[:SHOWN]
    return f"the zoo has: {', '.join(map(str, first))}" + (", …" if len(first) == SHOWN else "")


def _by_arch(found: list[Network]) -> list[list[Network]]:
    pools: dict[tuple[str, str], list[Network]] = {}
    for network in found:
        pools.setdefault((network.arch, network.dataset), []).append(network)
    return list(pools.values())


def _trained(block: Zoo, train: Job, where: str, key: str) -> Callable[[str, int], Network]:
    def make(arch: str, seed: int) -> Network:
        fields = fields_of(block, arch, seed)
        try:
            config = train.config.model_validate(fields)
        except ValidationError as error:
            raise yamlfile.explain(error, train.config, fields, where, key) from None
        return _network(train, config, id_of(train, config))

    return make


def _imported(block: Zoo, importer: Job, imports: Imports, where: str) -> Callable[[str, int], Network]:
    unknown = block.training.keys() - TOLD_APART
    if unknown:
        raise SpecError(f"'{min(unknown)}' has no meaning for imported networks", where=where, do="remove it")
    wanted = {"name": block.imported, "dataset": block.dataset, **block.training}
    rows = [row for row in imports() if all(row.get(key) == value for key, value in wanted.items())]

    def make(arch: str, seed: int) -> Network:
        """The one imported network of this architecture and seed. Raises SpecError for none, and for more."""
        mine = [row for row in rows if row["arch"] == arch and row["seed"] == seed]
        if len(mine) != 1:
            how_many = "no" if not mine else "more than one"
            raise SpecError(
                f"{how_many} imported network is called {block.imported}: {arch}, {block.dataset}, seed {seed}",
                where=where,
                do=f"repsim zoo import PATH --arch {arch} --dataset {block.dataset} --name {block.imported} (see: repsim zoo list)",
            )
        config = importer.config.model_validate({k: mine[0][k] for k in importer.config.model_fields})
        return _network(importer, config, mine[0]["run_id"])

    return make


def _network(job: Job, config: JobConfig, run: RunId) -> Network:
    hook = job.hook("network")
    assert hook, f"{job.path} makes networks but offers no network(config)"
    facts, values, keeps = hook(config), config.model_dump(), job.hook("kept")
    kept = keeps(config) if keeps else None
    return Network(run, job.name, config, facts, facts.label, values["dataset"], values["seed"], kept)
