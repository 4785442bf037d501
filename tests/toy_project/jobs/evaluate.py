"""Score a network that is no more than a file: each step of an attack costs it a hundredth."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from repsim.errors import SpecError
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId

VERSION = 1


class Config(JobConfig):
    """One network and one attack."""

    labels: ClassVar[frozenset[str]] = frozenset({"arch", "made", "seed"})

    network: RunId = Field(pattern=NAME, description="run")
    arch: str | None = Field(None, description="label")
    made: str | None = Field(None, description="label")
    seed: int | None = Field(None, description="label")
    dataset: str = Field(pattern=NAME, description="data set")
    test_images: int | None = Field(None, ge=1, description="test images")
    attack: Literal["none", "pgd", "autoattack"] = Field("none", description="attack")
    epsilon: float = Field(0.1, gt=0, le=1, description="radius")
    attack_steps: int = Field(10, ge=1, description="steps")
    restarts: int = Field(1, ge=1, description="starts")


class Row(JobRow):
    """What it scored."""

    test_images: int = Field(description="test images scored")
    accuracy: float = Field(description="on clean images")
    loss: float | None = Field(description="on clean images")
    ece: float | None = Field(description="on clean images")
    robust_accuracy: float | None = Field(description="under attack")


def inputs(config: Config) -> list[RunId]:
    """The network."""
    return [config.network]


def group_key(config: Config) -> Hashable:
    """One network and data set per group."""
    return config.network, config.dataset, config.test_images


def check(config: Config, catalog: Any) -> None:
    """Raise SpecError for an unknown network, and for data that is not there."""
    catalog.network(config.network)
    if config.dataset == "absent":
        raise SpecError("the data set is not there", where="dataset", do="put it there")


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Read the network; one row each."""
    for config in configs:
        assert (context.artefacts / config.network / NETWORK).read_bytes()
        left = {"none": None, "pgd": 0.9 - config.attack_steps / 100, "autoattack": config.epsilon}[config.attack]
        yield Row(
            run_id=context.run_id(config),
            test_images=config.test_images or 100,
            accuracy=0.9,
            loss=0.25 if config.dataset == "d" else None,
            ece=0.125,
            robust_accuracy=left,
        )
