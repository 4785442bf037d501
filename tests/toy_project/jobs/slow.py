"""Take a while, in small steps, and leave at any of them when told to; a group's runs are done one after the other.

Each step is reported as its share of the group's time, and a dry run takes only so many of each run.
"""

import time
from collections.abc import Hashable, Iterator, Sequence
from math import ceil

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
    waited, whole = 0.0, sum(config.seconds for config in configs)
    for config in configs:
        steps = ceil(config.seconds / STEP_S)
        for _ in range(min(steps, context.steps or steps)):
            waited += STEP_S
            context.tick(waited / whole, "waiting")
            time.sleep(STEP_S)
        yield Row(run_id=context.run_id(config), outcome="ok", answer=config.value + 1)
