"""Owns computing a plan on this machine: one process per core on a CPU, one per machine on a GPU, networks first.

The worker is the one that Slurm tasks run; only where its tasks come from differs. Ctrl-C asks every process to
leave at its next step, which loses nothing but the groups at work; a second Ctrl-C kills.
"""

import multiprocessing
import os
import platform
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from repsim import log
from repsim import plan as planning
from repsim.pack import Pack
from repsim.plan import Plan, Stage
from repsim.progress import Listen
from repsim.submission import Submission

POLL_S = 0.2
Record = Callable[[Stage], Submission]
"""Writes the submission of a stage, so that its state can be read while it runs and after a crash."""


@dataclass(frozen=True)
class Message:
    """What a process tells its parent: progress of a group, or its outcome."""

    group: str
    fraction: float
    text: str
    outcome: str | None = None


def compute(plan: Plan, workers: int, record: Record, listen: Listen, steps: int | None = None) -> list[str]:
    """Do every stage of the plan in order; the outcome of each group."""
    outcomes: list[str] = []
    with stop_on_interrupt() as stopped:
        for stage in plan.stages:
            if stopped():
                outcomes += ["interrupted"] * len(stage.groups)
            elif stage.tasks:
                outcomes += _stage(stage, min(workers, len(stage.groups)), record, stopped, listen, steps)
    return outcomes


def workers_for(device: str, wish: int | None) -> int:
    """Processes to use: as wished, else one per core on a CPU (small networks gain nothing from threads), else one."""
    if wish is not None:
        return wish
    return len(os.sched_getaffinity(0)) if device == "cpu" and hasattr(os, "sched_getaffinity") else 1


def _stage(stage: Stage, count: int, record: Record, stopped: Callable[[], bool], listen: Listen, steps: int | None) -> list[str]:
    limits = planning.Limits(pack_s=float("inf"), min_tasks=count)
    one = record(Stage(stage.name, planning.packed(stage.groups, limits)))
    one.mark_sent(host=platform.node(), pid=os.getpid())
    try:
        return (_here if count == 1 else _beside)(one, stopped, listen, steps)
    finally:
        one.close()


def _here(one: Submission, stopped: Callable[[], bool], listen: Listen, steps: int | None) -> list[str]:
    """The one task in this process."""
    return Pack(one, 0, stopped, lambda: float("inf"), listen, steps, log=log.writer(one, 0)).run()


def _beside(one: Submission, stopped: Callable[[], bool], listen: Listen, steps: int | None) -> list[str]:
    """Every task in a process of its own; a process that dies leaves its groups as `lost`."""
    context = multiprocessing.get_context("spawn")
    messages, stop = context.Queue(), context.Event()
    tasks = range(len(one.plan["tasks"]))
    children = [context.Process(target=_child, args=(str(one.folder), index, messages, stop, steps)) for index in tasks]
    for child in children:
        child.start()
    outcomes: dict[str, str] = {}
    for message in _until_all_left(children, messages, stopped, stop):
        listen(message.group, message.fraction, message.text)
        if message.outcome:
            outcomes[message.group] = message.outcome
    begun = [group["id"] for task in one.plan["tasks"] for group in task]
    rest = "interrupted" if stopped() else "lost"
    return [outcomes.get(group, rest) for group in begun]


def _until_all_left(children: Sequence[BaseProcess], messages: Any, stopped: Callable[[], bool], stop: Any) -> Iterator[Message]:
    """Messages as they come, until every process has left and the queue is empty."""
    while True:
        alive = any(child.is_alive() for child in children)
        if stopped():
            stop.set()
        try:
            yield messages.get(timeout=POLL_S)
        except queue.Empty:
            if not alive:
                return


def _child(folder: str, index: int, messages: Any, stop: Any, steps: int | None) -> None:
    """One task: a core of its own, and deaf to Ctrl-C, which the parent hears."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    parent = os.getppid()

    def listen(group: str, fraction: float, text: str) -> None:
        messages.put(Message(group, fraction, text))

    def ended(group: str, outcome: str) -> None:
        messages.put(Message(group, 1.0, outcome, outcome))

    def stopped() -> bool:
        return stop.is_set() or os.getppid() != parent  # an orphan leaves: nobody would know that it computes

    one = Submission(Path(folder))
    beside, said = len(one.plan["tasks"]), log.writer(one, index)
    Pack(one, index, stopped, lambda: float("inf"), listen, steps, beside=beside, log=said, ended=ended).run()


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C (or SIGTERM) asks to stop; a second Ctrl-C kills as usual."""
    asked = threading.Event()

    def ask(number: int, frame: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
