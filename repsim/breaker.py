"""Owns the circuit breaker: when groups fail one after the other with one error, the submission is stopped by a file.

A group is what fails: its runs are computed together and share its error. Ten in a row of one task, or twenty in a row of
the whole submission (its first twenty, say), are no bad luck: sooner a sweep with a few broken cases would be stopped,
later the hours of many tasks are gone. Once somebody took a stop away, only what fails after that counts.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from repsim import orders
from repsim.orders import Stop
from repsim.signature import signature
from repsim.submission import Submission

ROW = 10
OF_ALL = 20


class Breaker:
    """Counts the failures of one task, and looks at those of the others when its own fail."""

    def __init__(self, one: Submission, before: Iterable[dict[str, Any]] = ()):
        """`before` are the attempt records that earlier processes of the task left."""
        self._one, self._row, self._since = one, (None, 0), orders.resumed_at(one)
        for event in before:
            if event["event"] == "end" and event["at"] > self._since:
                self._count(event["outcome"], event.get("message"))

    def heard(self, outcome: str, cause: str | None, message: str | None, run: str) -> Stop | None:
        """A group of which `run` is one has ended so; the stop that this led to, if this call made it."""
        self._count(outcome, message)
        if outcome != "failed":
            return None
        with suppress(OSError):  # a disk that is away stops nothing; the next failure asks again
            return self._tripped(cause, message, run)
        return None

    def _tripped(self, cause: str | None, message: str | None, run: str) -> Stop | None:
        self._begin_anew_after(orders.resumed_at(self._one))
        name, count = self._row
        if count < ROW:
            count = OF_ALL if self._all_failed(name) else 0
        why = Stop("breaker", time.time(), name, count, cause, run, message)
        return why if count and orders.stop(self._one, why) else None

    def _begin_anew_after(self, resumed: float) -> None:
        """Count only the present failure where a stop was taken away since the last."""
        if resumed > self._since:
            self._row, self._since = (self._row[0], 1), resumed

    def _count(self, outcome: str, message: str | None) -> None:
        if outcome == "done":
            self._row = (None, 0)
        elif outcome == "failed":
            name = signature(message or "")
            self._row = (name, self._row[1] + 1 if self._row[0] == name else 1)

    def _all_failed(self, name: str | None) -> bool:
        """Whether the groups of the whole submission that ended last failed, all of them as this one did."""
        ends = [e for e in self._one.events() if e["event"] == "end" and e["at"] > self._since]
        last = [e for e in ends if e["outcome"] in ("done", "failed")][-OF_ALL:]
        return len(last) == OF_ALL and all(e["outcome"] == "failed" and signature(e.get("message") or "") == name for e in last)
