"""Make a network that is no more than a file."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

from pydantic import Field

from repsim.errors import SpecError
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, NetworkFacts, RunId

VERSION = 1


class Config(JobConfig):
    """One network."""

    arch: str = Field(pattern=NAME, description="architecture")
    width: int | None = Field(None, ge=1, description="width; null: its default")
    depth: int | None = Field(None, ge=1, description="depth; null: its default")
    dataset: str = Field(pattern=NAME, description="data set")
    recipe: Literal["good", "diverges", "fails"] = Field("good", description="how the training ends")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the first weights")
    data_seed: int | None = Field(None, ge=0, description="seed of the batch order; null: the same as seed")
    epochs: int = Field(1, ge=1, description="passes; each makes it better")


class Row(JobRow):
    """How well it came out."""

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


def check(config: Config, catalog) -> None:
    """Raise SpecError for data that is not there."""
    if config.dataset == "absent":
        raise SpecError("the data set is not there", where="dataset", do="put it there")
    catalog.layers(network(config))


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Write one file each, unless the recipe is bad."""
    for config in configs:
        context.tick()
        if config.recipe == "fails":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        run_id = context.run_id(config)
        if config.recipe == "good":
            context.artefact(run_id, NETWORK).write_bytes(b"weights")
        yield Row(run_id=run_id, outcome="ok" if config.recipe == "good" else "diverged", accuracy=_accuracy(config))


def _accuracy(config: Config) -> float:
    """Grows with the passes and, a little, with the seed."""
    return 1 - 0.1 / config.epochs + config.seed / 1000
