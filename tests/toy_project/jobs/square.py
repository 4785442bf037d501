"""Square a number. `mood` makes a run end in each way that a run can end."""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from repsim.errors import InputError
from repsim.job import NAME, Context, JobConfig, JobRow, RunId

VERSION = 1
PRIOR_RATE = 10.0


class Config(JobConfig):
    """One number."""

    labels: ClassVar[frozenset[str]] = frozenset({"nick"})

    value: float = Field(description="number to square")
    batch: int = Field(0, description="numbers of one batch are squared together")
    times: int = Field(1, ge=1, description="how often; the size of the run")
    mood: Literal["well", "fails", "refuses", "diverges", "forgets", "memory"] = Field("well", description="how the run ends")
    dataset: str = Field("numbers", pattern=NAME, description="where the rows go")
    network: str | None = Field(None, description="a run whose network must be there")
    nick: str | None = Field(None, description="label: what people call it")


class Row(JobRow):
    """The square."""

    square: float | None = Field(description="value²")


def inputs(config: Config) -> list[RunId]:
    """The network, if one is named."""
    return [config.network] if config.network else []


def group_key(config: Config) -> Hashable:
    """Numbers of one batch."""
    return config.dataset, config.batch


def work(config: Config) -> float:
    """How often the number is squared."""
    return float(config.times)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Square each number, unless its mood is against it."""
    for index, config in enumerate(configs):
        context.tick(index / len(configs), "squaring")
        yield from _square(config, context.run_id(config))


def _square(config: Config, run_id: RunId) -> Iterator[Row]:
    if config.mood == "fails":
        raise ZeroDivisionError("no square today")
    if config.mood == "memory":
        raise MemoryError("no room")
    if config.mood == "refuses":
        raise InputError("is no number", where="value", do="give another")
    if config.mood != "forgets":
        diverged = config.mood == "diverges"
        yield Row(run_id=run_id, outcome="diverged" if diverged else "ok", square=None if diverged else config.value**2)
