"""Owns waiting for a disk: a write that fails for a while is tried again, so that what was computed is not lost for a full disk."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from repsim.errors import PASSING, DiskError, shortened, unwritten

T = TypeVar("T")
FIRST_S, LONGEST_S = 1.0, 30.0  # of the pauses between two tries
RESERVE_S = 15.0  # left at the end of a task, to leave by itself
LOOK_S = 0.5  # between two looks whether to stop
TORCH_SAYS = ("PytorchStreamWriter failed writing", "No space left on device", "Disk quota exceeded", "Stale file handle")
"""torch says in words alone that a file could not be written."""


def passes(error: BaseException) -> bool:
    """Whether `error` is that of a disk that is full, read-only or away, which waiting may mend."""
    if isinstance(error, OSError):
        return error.errno in PASSING
    return isinstance(error, DiskError) or (isinstance(error, RuntimeError) and any(word in str(error) for word in TORCH_SAYS))


@dataclass(frozen=True)
class Patience:
    """How long a write may be tried: until told to stop, until little time is left, and `longest_s` seconds at most."""

    stop: Callable[[], bool]
    time_left: Callable[[], float]
    say: Callable[[str], None]
    longest_s: float
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, write: Callable[[], T]) -> T:
        """What `write` returns, once it succeeds; a DiskError when patience ends, other errors at once."""
        waited = 0.0
        for pause in _pauses():
            try:
                return write()
            except (OSError, DiskError) as error:
                if not passes(error):
                    raise
                if not self._may_wait(waited, pause):
                    raise error if isinstance(error, DiskError) else unwritten(error, error.filename or "a file") from error
                if not waited:
                    self.say(f"waiting for the disk: {shortened(str(error).splitlines()[0], 200)}")
            self._rest(pause)
            waited += pause
        raise AssertionError("the pauses never end")

    def _may_wait(self, waited: float, pause: float) -> bool:
        return not self.stop() and pause <= min(self.longest_s - waited, self.time_left() - RESERVE_S)

    def _rest(self, seconds: float) -> None:
        """Sleep so long, in pieces, or until told to stop."""
        while seconds > 0 and not self.stop():
            self.sleep(min(LOOK_S, seconds))
            seconds -= LOOK_S


def _pauses() -> Iterator[float]:
    pause = FIRST_S
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_S)
