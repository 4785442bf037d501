"""Owns processes side by side on this machine: one per lane, a card or a core, each given the next task when it is free.

A process that dies, by whatever it was killed, loses the group at work and nothing else: a fresh one goes on in its lane. They
are told by pipes, one each, so that no death can leave a lock behind; a process whose pipe ends has no parent and leaves.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from repsim import log
from repsim.journal import Journal
from repsim.pack import Pack
from repsim.progress import Listen
from repsim.submission import Submission

POLL_S = 0.2
LEAVE_S = 20.0
MAX_DEATHS = 3  # processes in a row that die and finish nothing: more would die alike
LOST, INTERRUPTED = "lost", "interrupted"


@dataclass(frozen=True)
class Lane:
    """Where one process computes: the card that it sees (None: what its parent sees), its threads, who shares its memory."""

    card: str | None = None
    threads: int = 1
    beside: int = 1


class Stop(NamedTuple):
    """What the person at the terminal wants: whether all shall leave at their next step, and whether at once."""

    asked: Callable[[], bool]
    now: Callable[[], bool]


class Message(NamedTuple):
    """What a process tells its parent: progress of a group, or its outcome."""

    group: str
    fraction: float
    text: str
    outcome: str | None = None


FREE = Message("", 0.0, "free")


class Process:
    """One process of a lane, and the task that it was given."""

    def __init__(self, folder: Path, lane: Lane, steps: int | None):
        context = multiprocessing.get_context("spawn")
        self.lane, self.task, self.killed = lane, None, False
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_compute, args=(str(folder), lane, theirs, steps))
        with _deaf():
            self._process.start()
        theirs.close()

    def tell(self, task: int | None) -> None:
        """Give it a task; None: leave, at the next step if it is at work. One that has just died is heard of by its pipe."""
        try:
            self.pipe.send(task)
        except OSError:
            return
        self.task = self.task if task is None else task

    def kill(self) -> None:
        """End it at once."""
        self.killed = True
        self._process.kill()

    def leave(self) -> None:
        """Wait for its end, and no longer than its last words may take: a driver can keep a process that is through."""
        self._process.join(LEAVE_S)
        self._process.kill()
        self.pipe.close()


class Lanes:
    """The tasks of a submission, handed out one by one."""

    def __init__(self, one: Submission, stop: Stop, listen: Listen, steps: int | None):
        self._one, self._stop, self._listen, self._steps = one, stop, listen, steps
        self._waiting = deque(range(len(one.plan["tasks"])))
        self._processes: list[Process] = []
        self._deaths, self._told = 0, False
        self.outcomes: dict[str, str] = {}

    def run(self, lanes: Sequence[Lane]) -> dict[str, str]:
        """Do all tasks; the outcome of each group that was begun."""
        try:
            self._processes = [self._start(lane) for lane in lanes[: len(self._waiting)]]
            while self._processes:
                self._obey()
                ready = wait([process.pipe for process in self._processes], POLL_S)
                for process in [process for process in self._processes if process.pipe in ready]:
                    self._hear(process)
        finally:
            for process in self._processes:
                process.kill()
        return self.outcomes

    def _start(self, lane: Lane) -> Process:
        return Process(self._one.folder, lane, self._steps)

    def _obey(self) -> None:
        """Pass on what Ctrl-C asked for, once."""
        if self._stop.asked() and not self._told:
            self._told = True
            self._waiting.clear()
            for process in self._processes:
                process.tell(None)
        if self._stop.now():
            for process in self._processes:
                process.kill()

    def _hear(self, process: Process) -> None:
        try:
            message = process.pipe.recv()
        except (EOFError, OSError):
            self._gone(process)
            return
        if message == FREE:
            process.task = None
            process.tell(self._waiting.popleft() if self._waiting else None)
            return
        self._listen(message.group, message.fraction, message.text)
        if message.outcome:
            self._deaths = 0
            self.outcomes[message.group] = message.outcome

    def _gone(self, process: Process) -> None:
        """What it left undone, and a fresh process for what waits; none where one after the other dies at once."""
        self._processes.remove(process)
        process.leave()
        self._deaths += 1
        if process.task is not None:
            self._lost(process, process.task)
        if self._waiting and self._deaths < MAX_DEATHS:
            self._processes.append(self._start(process.lane))

    def _lost(self, process: Process, task: int) -> None:
        """The group at work is lost, those behind it were not begun; what was killed on demand did not die of itself."""
        left = [group["id"] for group in self._one.plan["tasks"][task] if group["id"] not in self.outcomes]
        for index, group in enumerate(left):
            self.outcomes[group] = LOST if index == 0 and not self._told else INTERRUPTED
        if process.killed and left:
            Journal(self._one, task, 0).write(
                event="end", group=left[0], outcome=INTERRUPTED, cause=None, message="stopped at once"
            )


@contextmanager
def _deaf() -> Iterator[None]:
    """A process that is started here does not hear Ctrl-C, from its first moment on: its parent does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _compute(folder: str, lane: Lane, pipe: "Connection[Any, Any]", steps: int | None) -> None:
    """What a process does: one task after the other, until it is told to leave or a card failed it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= _settings(lane)
    one, parent = Submission(Path(folder)), os.getppid()
    while True:
        _say(pipe, FREE)
        task = _told(pipe)
        if task is None or _task(one, task, lane, pipe, steps, parent).poisoned:
            return


def _say(pipe: "Connection[Any, Any]", message: Message) -> None:
    """A parent that is gone hears nothing, which fails no run: the next step leaves."""
    with suppress(OSError):
        pipe.send(message)


def _told(pipe: "Connection[Any, Any]") -> int | None:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _task(one: Submission, index: int, lane: Lane, pipe: "Connection[Any, Any]", steps: int | None, parent: int) -> Pack:
    def listen(group: str, fraction: float, text: str) -> None:
        _say(pipe, Message(group, fraction, text))

    def ended(group: str, outcome: str) -> None:
        _say(pipe, Message(group, 1.0, outcome, outcome))

    def stopped() -> bool:
        return pipe.poll() or os.getppid() != parent  # at work it can only be told to leave; or its parent is gone

    said = log.writer(one, index)
    pack = Pack(one, index, stopped, lambda: float("inf"), listen, steps, beside=lane.beside, log=said, ended=ended)
    pack.run()
    return pack


def _settings(lane: Lane) -> Mapping[str, str]:
    """Environment of a lane, before torch is imported."""
    threads = {name: str(lane.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return threads if lane.card is None else {**threads, "CUDA_VISIBLE_DEVICES": lane.card}
