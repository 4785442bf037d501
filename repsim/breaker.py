"""Owns the circuit breaker: when groups fail one after the other with one error, the submission is stopped by a file.

A group is what fails: its runs are computed together and share its error. Ten in a row of one task, or all of the first
twenty of the whole submission, are no bad luck: sooner a sweep with a few broken cases would be stopped, later the card
hours of many tasks are gone.
"""

import time
from collections.abc import Iterable
from typing import Any

from repsim import orders
from repsim.orders import Stop
from repsim.signature import signature
from repsim.submission import Submission

FIRST = 20
ROW = 10


class Breaker:
    """Counts the failures of one task, and looks at those of the others when its own fail."""

    def __init__(self, one: Submission, before: Iterable[dict[str, Any]] = ()):
        """`before` are the attempt records that earlier processes of the task left."""
        self._one, self._row, self._safe = one, (None, 0), False
        for event in before:
            if event["event"] == "end":
                self._count(event["outcome"], event.get("message"))

    def heard(self, outcome: str, cause: str | None, message: str | None, run: str) -> Stop | None:
        """A group of which `run` is one has ended so; the stop that this led to, if this call made it."""
        self._count(outcome, message)
        if outcome != "failed":
            return None
        name, count = self._row
        count = max(count if count >= ROW else 0, FIRST if self._first_failed(name) else 0)
        if not count:
            return None
        why = Stop("breaker", time.time(), name, count, cause, run, message)
        return why if orders.stop(self._one, why) else None

    def _count(self, outcome: str, message: str | None) -> None:
        if outcome == "done":
            self._row = (None, 0)
        elif outcome == "failed":
            name = signature(message or "")
            self._row = (name, self._row[1] + 1 if self._row[0] == name else 1)

    def _first_failed(self, name: str | None) -> bool:
        """Whether the first groups of the whole submission failed, all of them as this one did; once it is not so, it never is."""
        if self._safe:
            return False
        ends = [event for event in self._one.events() if event["event"] == "end" and event["outcome"] in ("done", "failed")]
        first = ends[:FIRST]
        self._safe = any(event["outcome"] == "done" for event in first)
        return len(first) == FIRST and all(signature(event.get("message") or "") == name for event in first) and not self._safe
