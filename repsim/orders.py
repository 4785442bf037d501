"""Owns what a submission's folder tells its tasks: to stop, or that it is none of theirs any more. No server is asked.

results/submissions/NAME/stop        why no group is begun any more: {signature, count, run, message, cause, at, by}
                         resumed     when a stop was last taken away: failures before it count no more
                     withdrawn   Slurm answered with an error; if it took the job all the same, nothing is to be computed
                         closed      nothing of it is in the queue, so that its runs may be in another submission by now
"""

import errno
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from repsim.errors import PASSING, UserError
from repsim.submission import Submission

STOP, RESUMED, WITHDRAWN, CLOSED = "stop", "resumed", "withdrawn", "closed"
LOOK_S = 5.0  # at most so often is a folder looked into while a group is at work


@dataclass(frozen=True)
class Stop:
    """Why a submission is stopped; of a stop by hand only who and when. `count` groups failed with `signature` in a row."""

    by: Literal["hand", "breaker"]
    at: float
    signature: str | None = None
    count: int = 0
    cause: str | None = None
    run: str | None = None
    message: str | None = None

    @property
    def words(self) -> str:
        """What to say about it, in one line."""
        if self.by == "hand":
            return "stopped by hand"
        return f"stopped: {self.count} groups failed one after the other with the same error ({self.cause}): {self.signature}"


def stop_of(one: Submission) -> Stop | None:
    """The stop that stands; one that cannot be read is one by hand: a file that a person touched."""
    file = one.folder / STOP
    try:
        return Stop(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return Stop("hand", _written(file))
    except OSError as error:  # none there, or none to be seen while the disk is away
        return None if error.errno in (errno.ENOENT, *PASSING) else Stop("hand", _written(file))


def stop(one: Submission, why: Stop) -> bool:
    """Tell every task to leave; False if it was told before. Whole or not at all, and the first reason stands."""
    temporary = one.folder / f".{STOP}.{os.getpid()}.{os.urandom(2).hex()}"
    try:
        with temporary.open("w") as file:
            json.dump(asdict(why), file)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, one.folder / STOP)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()
    return True


def resume(one: Submission) -> bool:
    """Take the stop away and write down when; False if there was none."""
    if not (one.folder / STOP).exists():
        return False
    (one.folder / RESUMED).write_text(str(time.time()))  # first: with the stop gone, the next failure asks for it
    (one.folder / STOP).unlink(missing_ok=True)
    return True


def resumed_at(one: Submission) -> float:
    """When a stop was last taken away, in seconds since 1970; 0 if none was."""
    try:
        return float((one.folder / RESUMED).read_text())
    except (OSError, ValueError):
        return 0.0


def standing(known: Iterable[Submission], sweep: str | None = None) -> list[tuple[Submission, Stop]]:
    """The stops that stand, of one sweep or of all, oldest first."""
    found = [(one, why) for one in known if (why := stop_of(one)) is not None]
    return [(one, why) for one, why in found if sweep is None or one.head["sweep"] == sweep]


def refuse_stopped(known: Iterable[Submission], sweep: str) -> None:
    """UserError while a stop stands on anything sent of `sweep`: a new submission would only fail, or go on, behind its back."""
    for one, why in standing(known, sweep):
        raise UserError(
            f"the sweep is held: {why.words}",
            where=str(one.folder / STOP),
            do=f"{'' if why.by == 'hand' else 'mend it, then: '}repsim sweep resume {sweep}, and submit again",
        )


def dismissal(one: Submission) -> str | None:
    """Why a task that Slurm runs has nothing to do: its submission was given up, so that another may hold its runs."""
    if _there(one.folder / WITHDRAWN):
        return "the submission was withdrawn; nothing of it is to be computed"
    return "the submission is closed; its runs may be in another one" if _there(one.folder / CLOSED) else None


class Lookout:
    """Tells a task that is at work whether the breaker tripped; the folder is looked into at most every `LOOK_S` seconds."""

    def __init__(self, one: Submission, clock: Callable[[], float] = time.monotonic):
        self._one, self._clock, self._last, self._tripped = one, clock, clock(), False

    def tripped(self) -> bool:
        """Whether to leave at the next step: runs like this one fail. A stop by hand lets the present group finish."""
        now = self._clock()
        if not self._tripped and now - self._last >= LOOK_S:
            self._last = now
            why = stop_of(self._one)
            self._tripped = why is not None and why.by == "breaker"
        return self._tripped


def stops_json(found: Iterable[tuple[Submission, Stop]]) -> list[dict[str, Any]]:
    """What --json says of stops."""
    return [{"submission": one.name, **asdict(why), "words": why.words} for one, why in found]


def _there(file: Path) -> bool:
    """Whether the file is seen; while the disk is away it is not."""
    try:
        return file.exists()
    except OSError:
        return False


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return time.time()
