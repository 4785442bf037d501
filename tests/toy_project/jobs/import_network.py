"""Adopt a network that is no more than a file."""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from repsim.errors import InputError
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, NetworkFacts, RunId

VERSION = 1


class Config(JobConfig):
    """One published network."""

    labels: ClassVar[frozenset[str]] = frozenset({"source"})

    arch: str = Field(pattern=NAME, description="architecture")
    width: int | None = Field(None, ge=1, description="width; null: its default")
    depth: int | None = Field(None, ge=1, description="depth; null: its default")
    dataset: str = Field(pattern=NAME, description="data set")
    name: str = Field(pattern=NAME, description="collection")
    seed: int = Field(ge=0, description="seed of the first weights")
    data_seed: int | None = Field(None, ge=0, description="seed of the batch order")
    normalise: str | None = Field(None, description="mean and std; null: those of the data set")
    source: str | None = Field(None, description="label: name of the file")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file")


class Row(JobRow):
    """How well it does."""

    accuracy: float = Field(description="share classified rightly")
    test_images: int = Field(100, description="test images scored")


def inputs(config: Config) -> list[RunId]:
    """None."""
    return []


def group_key(config: Config) -> Hashable:
    """One network per group."""
    return tuple(config)


def network(config: Config) -> NetworkFacts:
    """What the run leaves behind."""
    return NetworkFacts(config.arch, config.width, 10, 3, 32, config.depth)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Copy each file."""
    for config in configs:
        file = context.artefacts / "imports" / f"{config.digest}.pt"
        if file.read_bytes() == b"broken":
            raise InputError("is no checkpoint", where=str(file))
        run_id = context.run_id(config)
        context.artefact(run_id, NETWORK).write_bytes(file.read_bytes())
        yield Row(run_id=run_id, outcome="ok", accuracy=0.8)
