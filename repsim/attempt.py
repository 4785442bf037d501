"""Owns one attempt at a group: the job runs, its rows are published, and every way in which that can end has one outcome.

out of memory → the runs in two halves, once        a full disk → waited for        an error → its cause
"""

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from repsim import cause, hardware, measuring
from repsim.cause import Cause
from repsim.errors import DiskError, Interrupted, UserError, shortened
from repsim.identity import group_id
from repsim.job import Context, Job
from repsim.measuring import Origin
from repsim.patience import Patience, passes

HALVED = frozenset({Cause.OOM_GPU, Cause.OOM_HOST})
"""Half the runs need less memory, wherever it ran out. What the kernel kills for its memory leaves no error to see here."""
TRIES = 3  # of a group whose job could not write a file of its own
LONGEST_MESSAGE = 500
WORST = ("interrupted", "failed", "done", "stored")
Runs = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """How an attempt ended: done, stored, interrupted or failed; `poisoned` if its process can do no more on the GPU."""

    outcome: str
    cause: str | None = None
    message: str | None = None
    poisoned: bool = False


@dataclass(frozen=True)
class Attempt:
    """What it takes to compute runs of one group; `publish(group, rows)` says whether it was the first to store them."""

    job: Job
    context: Context
    origin: Origin
    publish: Callable[[str, list[dict[str, Any]]], bool]
    patience: Patience
    log: Callable[[str], None]

    def at(self, group: str, runs: Runs) -> Result:
        """Compute all of them as `group`; if memory runs out, one half after the other, each published as a part of its own."""
        result = self._lasting(group, runs)
        if result.cause not in HALVED or len(runs) == 1:
            return result
        self.log(f"out of memory: its {len(runs)} runs follow in two halves")
        middle = (len(runs) + 1) // 2
        first = self._half(runs[:middle])
        return first if first.poisoned else _joined(first, self._half(runs[middle:]), len(runs))

    def _half(self, runs: Runs) -> Result:
        hardware.free_memory()
        return self._lasting(group_id(self.job.name, (run["id"] for run in runs)), runs)

    def _lasting(self, group: str, runs: Runs) -> Result:
        """Once, and again where the job met a disk that was full for a while: no failure of its runs."""
        said = ""
        for _ in range(TRIES):
            try:
                return self._once(group, runs)
            except DiskError as error:
                said = str(error)
            try:
                self.patience(self._touch)
            except DiskError:
                break
        return Result("interrupted", message=said)

    def _once(self, group: str, runs: Runs) -> Result:
        try:
            rows = measuring.measured(self.job, group, runs, self.context, self.origin)
        except Interrupted:
            return Result("interrupted", message="told to stop")
        except Exception as error:
            if passes(error):
                raise DiskError(f"the job could not write: {error}") from error
            return self._failed(error)
        return self._published(group, rows)

    def _published(self, group: str, rows: list[dict[str, Any]]) -> Result:
        """Store what was computed, however long the disk is full while there is time."""
        try:
            return Result("done" if self.patience(lambda: self.publish(group, rows)) else "stored")
        except DiskError as error:
            return Result("interrupted", message=str(error))
        except UserError as error:
            return Result("failed", Cause.MISSING_INPUT, str(error))

    def _failed(self, error: Exception) -> Result:
        if isinstance(error, UserError):
            return Result("failed", Cause.MISSING_INPUT, str(error))
        self.log(traceback.format_exc().rstrip())
        message = shortened(f"{type(error).__name__}: {error}", LONGEST_MESSAGE)
        return Result("failed", cause.of_error(error), message, cause.poisons(error))

    def _touch(self) -> None:
        """Raises OSError while nothing can be written where the job writes."""
        file = self.context.artefacts / f".touch.{os.getpid()}.{os.urandom(2).hex()}"
        self.context.artefacts.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("wb") as out:
                out.write(bytes(4096))
                os.fsync(out.fileno())
        finally:
            file.unlink(missing_ok=True)


def _joined(first: Result, second: Result, runs: int) -> Result:
    """The group as its halves ended: what is worse counts, and rows that one half gave are stored all the same."""
    worse = min(first, second, key=lambda result: WORST.index(result.outcome))
    both = first.outcome == second.outcome == "failed"
    if worse.outcome != "failed" or both:
        return Result(worse.outcome, worse.cause, worse.message, first.poisoned or second.poisoned)
    return Result("failed", worse.cause, f"{worse.message} (in one half of {runs} runs; the other is stored)", worse.poisoned)
