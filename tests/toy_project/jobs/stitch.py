"""Stitch two networks that are no more than files: the penalty is the distance of their seeds."""

import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from repsim.errors import SpecError, nearest
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId

VERSION = 1
PRIOR_RATE = 2.0
STEP_S = 0.05


class Config(JobConfig):
    """One stitcher between two layers of two networks."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network", "seed"})

    front_network: RunId = Field(pattern=NAME, description="run of f")
    end_network: RunId = Field(pattern=NAME, description="run of g")
    front_arch: str | None = Field(None, description="label")
    end_arch: str | None = Field(None, description="label")
    front_seed: int | None = Field(None, description="label")
    end_seed: int | None = Field(None, description="label")
    dataset: str = Field(pattern=NAME, description="data set")
    front_layer: str = Field(min_length=1, description="layer of f")
    end_layer: str = Field(min_length=1, description="layer of g")
    stitcher: Literal["linear", "lowrank", "permutation"] = Field("linear", description="family")
    init: Literal["random", "ps_inv", "matched"] = Field("random", description="start")
    rank: int | None = Field(None, ge=1, description="rank of a lowrank stitcher")
    seed: int = Field(0, ge=0, description="seed of the start")
    epochs: int = Field(1, ge=0, description="passes")
    lr: float = Field(1e-3, gt=0, description="learning rate")
    seconds: float = Field(0.0, ge=0, description="how long it takes")

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        yield (self.stitcher == "lowrank") != (self.rank is not None), "rank: a lowrank stitcher needs one, no other has one"


class Row(JobRow):
    """What it scored."""

    penalty: float = Field(description="distance of the seeds")
    curve: list[float] | None = Field(None, description="loss after each pass; null without passes")


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """One pair of networks per group."""
    return config.front_network, config.end_network, config.dataset


def check(config: Config, catalog: Any) -> None:
    """Raise SpecError for unknown layers, and for layers of unequal width, which a permutation cannot join."""
    front = _shape(catalog.network_layers(config.front_network), config.front_layer)
    end = _shape(catalog.network_layers(config.end_network), config.end_layer)
    if config.stitcher == "permutation" and front != end:
        raise SpecError(f"a permutation needs equal widths: {front} and {end}", where="stitcher", do="take a linear stitcher")


def work(config: Config) -> float:
    """Passes, and one to score."""
    return 1.0 + config.epochs


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Read both networks; one row each."""
    for config in configs:
        end = time.monotonic() + config.seconds
        context.tick()
        while time.monotonic() < end:
            time.sleep(STEP_S)
            context.tick(0.5, "stitching")
        for network in inputs(config):
            assert (context.artefacts / network / NETWORK).read_bytes()
        penalty = abs((config.front_seed or 0) - (config.end_seed or 0)) / 100
        curve = [1 / epoch for epoch in range(1, config.epochs + 1)] or None
        yield Row(run_id=context.run_id(config), outcome="ok", penalty=penalty, curve=curve)


def _shape(sheet: Any, layer: str) -> list[int]:
    shapes = {row["name"]: row["shape"] for row in sheet}
    if layer not in shapes:
        raise SpecError(f"there is no layer '{layer}'", do=nearest(layer, shapes))
    return shapes[layer]
