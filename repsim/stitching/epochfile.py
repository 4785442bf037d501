"""Owns the file in which the training of a group stands between two epochs.

Written whole or not at all, read as data. A file that is damaged, or of another group, is left aside with a warning, and the
group starts anew: it can cost time, never a result.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repsim.errors import InputError
from repsim.models import tensorfile
from repsim.models.resume import EVERY_S, SHARE
from repsim.stitching.feeding import Order

FORMAT = 1  # raised when what is written changes, or what it would lead to
State = dict[str, Any]


@dataclass
class EpochFile:
    """The file of a group at `path`; `key` tells it from every other. `spent` are the seconds of earlier attempts."""

    path: Path
    key: Sequence[str]
    order: Order
    clock: Callable[[], float] = time.monotonic
    every_s: float = EVERY_S
    spent: float = 0.0
    begun: float = field(init=False)
    due_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()
        self.due_at = self.begun + self.every_s

    def keep(self, epoch: int, trained: Callable[[], State]) -> None:
        """Write where the group stands, `epoch` epochs done, with what was `trained`, if the last time is long ago."""
        now = self.clock()
        if now < self.due_at:
            return
        seconds = self.spent + now - self.begun
        state = {"epoch": epoch, "seconds": seconds, "order": self.order.state(), **trained()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensorfile.publish({"key": self._key(), "state": state}, self.path)
        self.due_at = self.clock() + max(self.every_s, (self.clock() - now) / SHARE)

    def read(self, fits: Callable[[State], bool]) -> State | None:
        """What was written, the order brought to there; None where there is no file of this group that `fits` what is trained."""
        if not self.path.is_file():
            return None
        try:
            state = self._checked(tensorfile.read(self.path), fits)
        except InputError as error:
            warnings.warn(f"{self.path}: {error.what}; the group starts anew", stacklevel=2)
            return None
        self.order.restore(state["order"], state["epoch"])
        self.spent = state["seconds"]
        return state

    def remove(self) -> None:
        """The group is done: take the file away, and its folder where nothing else is kept in it."""
        if self.path.parent.is_dir():
            tensorfile.remove(self.path)
            with suppress(OSError):
                self.path.parent.rmdir()

    def _key(self) -> State:
        return {"format": FORMAT, "runs": list(self.key)}

    def _checked(self, data: Any, fits: Callable[[State], bool]) -> State:
        if not isinstance(data, dict) or data.keys() != {"key", "state"} or data["key"] != self._key():
            raise InputError("is of another group")
        tensorfile.check_sums(self.path, do="")
        if not fits(data["state"]):
            raise InputError("is of other weights")
        return data["state"]
