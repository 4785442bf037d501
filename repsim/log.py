"""Owns the log of a task: the marks that a worker sets in it, where the file is, and the slice that belongs to one group.

    repsim: group 3f2a… begins: 4 runs of stitch
    … what the job prints, and the traceback of an error
    repsim: group 3f2a… ended: failed (RuntimeError: …)

Slurm writes results/submissions/NAME/slurm/JOB_TASK_0_log.out (a plain job: JOB_0_log.out), and goes on in it after a
requeue; a run on this machine writes slurm/local_TASK.log. A group that was begun several times has several slices.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from repsim.errors import InputError
from repsim.job import RunId
from repsim.submission import Submission

PREFIX = "repsim: "
POLL_S = 1.0  # a network file system tells nobody of changes: they are looked for
BEGINS = re.compile(rf"^{PREFIX}group \w+ begins:", re.M)


@dataclass(frozen=True)
class Place:
    """Where a run was, or will be, computed: the task of a submission, and the group within it."""

    run: RunId
    submission: Submission
    task: int
    group: str

    @property
    def file(self) -> Path:
        """The log of the task; it is not there before the task begins."""
        return file_of(self.submission, self.task)

    @property
    def slice(self) -> str | None:
        """What the last attempt at the group printed; None if there was none."""
        return slice_of(_text(self.file), self.group)


def begins(group: str, runs: int, job: str) -> str:
    """The mark before a group."""
    return f"group {group} begins: {runs} {'run' if runs == 1 else 'runs'} of {job}"


def ended(group: str, outcome: str, message: str | None) -> str:
    """The mark after a group."""
    return f"group {group} ended: {outcome}{f' ({message})' if message else ''}"


def writer(one: Submission, task: int) -> Callable[[str], None]:
    """How a task on this machine logs: into its file, and a traceback to stderr too. A full disk costs the log, not the run."""
    file = one.slurm / f"local_{task}.log"

    def write(text: str) -> None:
        if text.startswith("Traceback"):
            print(text, file=sys.stderr, flush=True)
        with suppress(OSError), file.open("a") as out:
            out.write(f"{PREFIX}{text}\n")

    return write


def file_of(one: Submission, task: int) -> Path:
    """The log of a task."""
    sent = one.sent or {}
    if "job_id" not in sent:
        return one.slurm / f"local_{task}.log"
    element = f"{sent['job_id']}_{task}" if len(one.outline) > 1 else sent["job_id"]
    return one.slurm / f"{element}_0_log.out"


def slice_of(text: str, group: str) -> str | None:
    """From the last mark at which `group` begins to the mark at which it ended; without that, to the next group or the end."""
    start = text.rfind(f"{PREFIX}group {group} begins:")
    if start < 0:
        return None
    rest = text[start:]
    end = re.search(rf"^{PREFIX}group {group} ended:.*\n?(?:[ \t].*\n?)*", rest, re.M)  # a message may have more lines, indented
    if end:
        return rest[: end.end()]
    after = BEGINS.search(rest, 1)
    return rest[: after.start()] if after else rest


def has_ended(text: str, group: str) -> bool:
    """Whether a slice holds the mark at which its group ended."""
    return re.search(rf"^{PREFIX}group {group} ended:", text, re.M) is not None


def places(submissions: Iterable[Submission], wanted: str) -> list[Place]:
    """Where the run with the id `wanted`, or the only one that begins so, was sent; oldest first.

    Raises InputError if no submission holds it, or if several runs begin so.
    """
    found = [
        Place(run["id"], one, index, group["id"])
        for one in submissions
        for index, groups in enumerate(one.outline)
        for group in groups
        for run in group["runs"]
        if run["id"].startswith(wanted)
    ]
    ids = sorted({place.run for place in found})
    if not ids:
        do = "ids: repsim sweep plan SPEC --json; the errors of a whole sweep: repsim sweep logs SPEC --failed"
        raise InputError(f"no run {wanted!r} was sent or computed here", do=do)
    if len(ids) > 1:
        raise InputError(f"{wanted!r} begins the ids of {len(ids)} runs", do=f"say more of it, as in {ids[0]}")
    return found


def latest(found: list[Place]) -> Place:
    """The newest place at which the run was begun; the newest of all if it never was."""
    return next((place for place in reversed(found) if place.slice is not None), found[-1])


def tail(text: str, lines: int | None) -> str:
    """The last `lines` lines of `text`; all of it without a number."""
    kept = text.splitlines(keepends=True)
    return text if lines is None else "".join(kept[max(0, len(kept) - lines) :])


def last_line(file: Path, letters: int = 300) -> str:
    """The last line of a log that says anything, where it may be long; "" without one."""
    return next((line.strip()[:letters] for line in reversed(_end(file).split("\n")) if line.strip()), "")


def last_words(one: Submission, task: int) -> str:
    """The end of the log of a task, of its last group alone."""
    return BEGINS.split(_end(file_of(one, task)))[-1]


def _end(file: Path) -> str:
    """The last few lines of a log, which may be long; "" without one."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - 4096))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def whole(place: Place) -> str:
    """All that the task printed; for a task that died before it began the group."""
    return _text(place.file)


def follow(place: Place, alive: Callable[[], bool], sleep: Callable[[float], None]) -> Iterator[str]:
    """What is added to the slice of a run, as it comes, until its group ended or its task is no longer alive.

    `alive` is asked before each look, so that the last words of a task are not missed.
    """
    shown = ""
    while True:
        going = alive()
        text = place.slice or ""
        yield text[len(shown) :] if text.startswith(shown) else text  # a requeued task begins the group again
        if has_ended(text, place.group) or not going:
            return
        shown = text
        sleep(POLL_S)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""
