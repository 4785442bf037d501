"""Owns computing a plan on this machine: a queue over its cards, or over its cores, longest groups first, networks before stitches.

The worker is the one that Slurm tasks run; only where its tasks come from differs. Ctrl-C asks all to leave at their
next step, which loses nothing but the groups at work; a second Ctrl-C ends them at once, and loses no more.
"""

import os
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from repsim import hardware, log, processes
from repsim import plan as planning
from repsim.journal import Journal
from repsim.lanes import INTERRUPTED, Lane, Lanes, Stop
from repsim.pack import Pack
from repsim.plan import Plan, Stage
from repsim.progress import Listen
from repsim.submission import Submission

MAX_TASKS = 1000  # each leaves two small files; above that a task holds several groups
Record = Callable[[Stage], Submission]
"""Writes the submission of a stage, so that its state can be read while it runs and after a crash."""


class Presses:
    """How often Ctrl-C was pressed; SIGTERM counts as once."""

    def __init__(self) -> None:
        self.count, self.raises = 0, False

    def take(self, number: int, frame: Any) -> None:
        self.count += number == signal.SIGINT or not self.count
        if self.count >= (2 if self.raises else 3):
            raise KeyboardInterrupt

    def stop(self) -> Stop:
        """What processes are to be told."""
        return Stop(self.asked, lambda: self.count >= 2)

    def asked(self) -> bool:
        """Whether all shall leave at their next step."""
        return self.count >= 1


def compute(plan: Plan, device: str, workers: int, record: Record, listen: Listen, steps: int | None = None) -> list[str]:
    """Do every stage of the plan in order; the outcome of each group."""
    outcomes: list[str] = []
    cards = hardware.cards() if device == "cuda" else []
    with counting_presses() as presses:
        for stage in plan.stages:
            if presses.asked():
                outcomes += [INTERRUPTED] * len(stage.groups)
            elif stage.tasks:
                lanes = lanes_of(cards, min(workers, len(stage.groups)))
                outcomes += _stage(stage, lanes, record, presses, listen, steps)
    return outcomes


def workers_for(device: str, wish: int | None) -> int:
    """Processes to use: as wished, else one per card, or one per core on a CPU (small networks gain nothing from threads)."""
    if wish is not None:
        return wish
    if device == "cuda":
        return max(1, len(hardware.cards()))
    return _cores() if device == "cpu" else 1


def _stage(stage: Stage, lanes: list[Lane], record: Record, presses: Presses, listen: Listen, steps: int | None) -> list[str]:
    alone = len(lanes) == 1 and lanes[0].card is None  # a process beside this one would only cost its start
    limits = planning.Limits(pack_s=float("inf"), min_tasks=1 if alone else min(len(stage.groups), MAX_TASKS))
    one = record(Stage(stage.name, planning.packed(stage.groups, limits)))
    one.mark_sent(host=platform.node(), pid=os.getpid(), born=processes.born(os.getpid()))
    try:
        return _here(one, presses, listen, steps) if alone else _beside(one, lanes, presses, listen, steps)
    finally:
        one.close()


def lanes_of(cards: list[str], count: int) -> list[Lane]:
    """So many lanes, over the cards in turn, or over the cores where there is no card."""
    if not cards:
        return [Lane(None, 1, count)] * count
    threads, beside = max(1, _cores() // count), -(-count // len(cards))
    return [Lane(cards[index % len(cards)], threads, beside) for index in range(count)]


def _here(one: Submission, presses: Presses, listen: Listen, steps: int | None) -> list[str]:
    """The one task in this process."""
    presses.raises = True
    pack = Pack(one, 0, presses.asked, lambda: float("inf"), listen, steps, log=log.writer(one, 0))
    try:
        return pack.run()
    except KeyboardInterrupt:
        left = [group["id"] for group in one.plan["tasks"][0][len(pack.outcomes) :]]
        Journal(one, 0, 0).write(event="end", group=left[0], outcome=INTERRUPTED, cause=None, message="stopped at once")
        return [*pack.outcomes, *[INTERRUPTED] * len(left)]
    finally:
        presses.raises = False


def _beside(one: Submission, lanes: list[Lane], presses: Presses, listen: Listen, steps: int | None) -> list[str]:
    """Every task in a process of a lane; groups that no process came to are left for the next run."""
    outcomes = Lanes(one, presses.stop(), listen, steps).run(lanes)
    return [outcomes.get(group["id"], INTERRUPTED) for task in one.plan["tasks"] for group in task]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def counting_presses() -> Iterator[Presses]:
    """Ctrl-C (or SIGTERM) asks to stop instead of killing; what was there before listens again afterwards."""
    presses = Presses()
    before = {number: signal.signal(number, presses.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
