"""Owns what a task knows to be stored: everything once, before each group only the parts that came since, and of the group at
work whether another copy of its task was first."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from repsim import store
from repsim.errors import UserError
from repsim.job import NETWORK, Job, RunId

LOOK_S = 0.5  # at most so often is one file asked for while a group is at work


class Stored:
    """The runs of one job with nothing left to do: stored, and their network not lost."""

    def __init__(self, results: Path, job: Job):
        self._store, self._artefacts, self._job = results / "store", results / "artefacts", job
        self._seen = set(store.parts(self._store, job.name))  # first: what is published meanwhile is read again, not missed
        self._ids = store.stored_ids(self._store, job) - store.lost_ids(self._store, self._artefacts, job)

    def now(self) -> set[RunId]:
        """Those stored by now, by whichever submission; of a group at work elsewhere nothing is known before it is published."""
        there = store.parts(self._store, self._job.name)
        new = [part for part in there if part not in self._seen]
        if new:
            self._ids |= self._kept(store.ids_in(new, self._job))
            self._seen = set(there)
        return self._ids

    def must_agree(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Raise InputError where one of these runs of a plan, which are passed over, is stored with another configuration."""
        if runs:
            asked = {run["id"]: self._job.config.model_validate(run["config"]) for run in runs}
            store.must_be_as_asked(self._store, self._job, asked)

    def _kept(self, runs: set[RunId]) -> set[RunId]:
        """Of newly stored runs those whose network, if they make one, is there; one that diverged left none and is done."""
        if self._job.hook("network") is None:
            return runs
        lost = store.lost_ids(self._store, self._artefacts, self._job)
        return {run for run in runs if (self._artefacts / run / NETWORK).is_file() or run not in lost}


class Overtaken:
    """Tells a group at work that a second copy of its task (after a lost node, say) published all of its runs."""

    def __init__(self, part: Path, runs: set[RunId], stored: Stored, clock: Callable[[], float] = time.monotonic):
        self._part, self._runs, self._stored, self._clock = part, runs, stored, clock
        self._next, self._open, self.found = clock() + LOOK_S, True, False

    def __call__(self) -> bool:
        if self._open and self._clock() >= self._next:
            self._next = self._clock() + LOOK_S
            with suppress(OSError, UserError):  # a disk that is away tells nothing
                self._look()
        return self.found

    def _look(self) -> None:
        """Once the part is there, what it holds decides: it may be bad, or of other runs."""
        if self._part.exists():
            self.found, self._open = self._runs <= self._stored.now(), False
