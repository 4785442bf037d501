"""Owns how far the tasks of a submission are: a beat that a task leaves every few seconds, and the spans of its groups.

results/submissions/NAME/progress/TASK.json   {at, group, fraction, text}: replaced, never appended to, and missed by nobody
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from repsim.submission import Submission

EVERY_S = 5.0
Listen = Callable[[str, float, str], None]


class Beat:
    """Passes the reports of a task on, and leaves the newest on disk every `EVERY_S` seconds."""

    def __init__(self, one: Submission, task: int, listen: Listen, clock: Callable[[], float] = time.time):
        self._file, self._listen, self._clock = one.folder / "progress" / f"{task}.json", listen, clock
        self._last = -float("inf")

    def __call__(self, group: str, fraction: float, text: str) -> None:
        """One report; a disk that is full costs the beat, not the run."""
        self._listen(group, fraction, text)
        now = self._clock()
        if now - self._last < EVERY_S:
            return
        self._last = now
        with suppress(OSError):
            self._file.parent.mkdir(exist_ok=True)
            temporary = self._file.with_name(f".{self._file.name}")
            temporary.write_text(json.dumps({"at": now, "group": group, "fraction": fraction, "text": text}))
            temporary.replace(self._file)


def beat(one: Submission, task: int) -> dict[str, Any] | None:
    """The newest report of a task; None before its first."""
    try:
        return json.loads((one.folder / "progress" / f"{task}.json").read_text())
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Span:
    """One attempt at a group: when it was begun and left (seconds since 1970), and how; `end` is None while that is not known."""

    submission: Submission
    task: int
    group: str
    start: float
    host: str | None
    end: float | None = None
    outcome: str | None = None
    cause: str | None = None
    message: str | None = None
    gpu: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took; without an end, up to its last beat, as far as that is known."""
        if self.end is not None:
            return self.end - self.start
        last = beat(self.submission, self.task)
        return max(0.0, last["at"] - self.start) if last and last["group"] == self.group else 0.0


def spans(one: Submission, events: Sequence[Mapping[str, Any]] | None = None) -> list[Span]:
    """Every attempt that was begun, in the order of their beginnings; `events` of the submission need not be read again."""
    found: list[Span] = []
    open_ones: dict[tuple[int, str], int] = {}
    for event in one.events() if events is None else events:
        key = (event["task"], event["group"])
        if event["event"] == "start":
            open_ones[key] = len(found)
            found.append(Span(one, *key, event["at"], event.get("host"), gpu=event.get("gpu")))
        elif key in open_ones:
            how = {name: event.get(name) for name in ("outcome", "cause", "message")}
            begun = open_ones.pop(key)
            found[begun] = replace(found[begun], end=event["at"], **how)
    return found


def last(one: Submission, task: int, group: str) -> Span | None:
    """The newest attempt of a task at a group; None if it never began it."""
    return next((span for span in reversed(spans(one, one.events(task))) if span.group == group), None)


def wasted_hours(found: Iterable[Span], alive: Collection[tuple[str, int]]) -> float:
    """Hours of attempts that gave no row: failed, told to stop, or killed; one of a task that is alive may still give some.

    An hour of a task that holds several GPUs counts as often.
    """
    return sum(span.seconds * span.submission.gpus for span in found if _is_lost(span, alive)) / 3600


def pace(found: Iterable[Span], runs: Callable[[Span], int]) -> float | None:
    """Runs per hour of work of one task: of finished groups; None before the first."""
    done = [span for span in found if span.outcome == "done"]
    seconds = sum(span.seconds for span in done)
    return 3600 * sum(map(runs, done)) / seconds if seconds else None


def newest_failures(found: Iterable[Span], count: int) -> Iterator[Span]:
    """The attempts that failed last, newest first."""
    failed = [span for span in found if span.outcome == "failed"]
    yield from sorted(failed, key=lambda span: -(span.end or 0))[:count]


def _is_lost(span: Span, alive: Collection[tuple[str, int]]) -> bool:
    if span.end is None:
        return (span.submission.name, span.task) not in alive
    return span.outcome not in ("done", "stored")
