"""Take a while, in small steps, and leave at any of them when told to; a group's runs are done one after the other."""

import time
from collections.abc import Hashable, Iterator, Sequence

from pydantic import Field

from repsim.job import NAME, Context, JobConfig, JobRow, RunId

VERSION = 1
PRIOR_RATE = 1.0
STEP_S = 0.05


class Config(JobConfig):
    """One wait."""

    value: int = Field(description="what sets the run apart")
    seconds: float = Field(0.3, ge=0, description="how long it takes")
    batch: int | None = Field(None, description="waits of one batch form a group; null: a group of its own")
    dataset: str = Field("numbers", pattern=NAME, description="where the rows go")


class Row(JobRow):
    """The answer."""

    answer: int = Field(description="value + 1")


def inputs(config: Config) -> list[RunId]:
    """None."""
    return []


def group_key(config: Config) -> Hashable:
    """The batch, or the run itself."""
    return ("batch", config.batch) if config.batch is not None else ("run", config.value)


def work(config: Config) -> float:
    """Seconds."""
    return config.seconds


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Wait for each."""
    for config in configs:
        end = time.monotonic() + config.seconds
        while time.monotonic() < end:
            context.tick(0.5, "waiting")
            time.sleep(STEP_S)
        yield Row(run_id=context.run_id(config), outcome="ok", answer=config.value + 1)
