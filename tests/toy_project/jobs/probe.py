"""Measure one layer of a network that is no more than a file: the accuracy grows with the seed of the network."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId

VERSION = 1


class Config(JobConfig):
    """One layer of one network."""

    labels: ClassVar[frozenset[str]] = frozenset({"arch", "seed"})

    network: RunId = Field(pattern=NAME, description="run that made the network")
    arch: str | None = Field(None, description="label")
    seed: int | None = Field(None, description="label")
    dataset: str = Field(pattern=NAME, description="data set")
    layer: str = Field(min_length=1, description="layer")
    rank: int | None = Field(None, ge=1, description="rank")
    noise_seed: int = Field(0, ge=0, description="what else is drawn")


class Row(JobRow):
    """What it scored."""

    accuracy: float = Field(description="share classified rightly")


def inputs(config: Config) -> list[RunId]:
    """The network."""
    return [config.network]


def group_key(config: Config) -> Hashable:
    """One network per group."""
    return config.network


def check(config: Config, catalog: Any) -> None:
    """The network must be known."""
    catalog.network_layers(config.network)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Read the network; one row each."""
    for config in configs:
        assert (context.artefacts / config.network / NETWORK).read_bytes()
        yield Row(run_id=context.run_id(config), outcome="ok", accuracy=0.5 + (config.seed or 0) / 100)
