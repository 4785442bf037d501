"""Owns what Slurm runs: one task of a plan in a process of its own, its signals, its deadline, and its way back into the queue.

SIGTERM or USR2 → the present group leaves at its next step, unpublished or saved
time limit      → the task puts itself back into the queue, if it got on
CUDA fault      → the process is replaced by a fresh one, which goes on with the other groups
"""

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from repsim import cluster, code, hardware, log, notify, orders
from repsim.errors import DiskError, UserError
from repsim.measuring import slurm_element
from repsim.pack import Pack
from repsim.submission import Submission

FRESH = "REPSIM_FRESH"  # in the environment: how many processes of this task ended by a fault of their GPU
PAUSES_S = (0.0, 5.0, 15.0, 30.0)
"""Before each try at going back into the queue: a controller that starts anew is away for a moment."""
RESERVE_S = 15.0  # left to leave by itself
MOST_FRESH = 3  # a card that fails again and again is left to somebody else
HEARD = (signal.SIGTERM, signal.SIGUSR2)


@dataclass
class Signals:
    """Remembers the first request to stop."""

    received: signal.Signals | None = None

    def listen(self) -> None:
        """Take SIGTERM (cancel, preemption) and USR2 (the time limit is near) from here on, also what came meanwhile."""
        for number in HEARD:
            signal.signal(number, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)

    def _take(self, number: int, frame: Any) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            _log(f"{self.received.name}: leaving at the next step")


def run_pack(plan_path: str, index: int) -> list[str]:
    """What Slurm runs: task `index` of the plan, in a process of its own. Raises if a group failed."""
    hardware.limit_threads()
    signals = Signals()
    signals.listen()
    submission = Submission(Path(plan_path).parent)
    away = orders.dismissal(submission)
    if away:
        _log(f"leaving: {away}")
        return []
    os.environ["REPSIM_DATA"] = os.pathsep.join(submission.plan["data"])  # registered data sets are looked up by it
    code.must_be_frozen(Path(submission.plan["code"]))
    try:
        outcomes = _run(submission, index, signals)
    except DiskError as error:
        _log(f"leaving: {error}")
        return ["interrupted"]
    failed = outcomes.count("failed")
    if failed:
        raise RuntimeError(f"{failed} of {len(outcomes)} groups failed; see above")
    return outcomes


def _run(submission: Submission, index: int, signals: Signals) -> list[str]:
    """The groups of the task; then it goes on afresh, goes back into the queue, or leaves for good."""
    deadline = _deadline(submission.plan["timeout_min"])
    pack = Pack(
        submission,
        index,
        stop=lambda: signals.received is not None,
        time_left=lambda: deadline - time.time(),
        listen=lambda *_: None,
        log=_log,
        why=lambda: signals.received.name if signals.received else None,
        dismissed=lambda: orders.dismissal(submission),
        patience_s=float("inf"),
    )
    outcomes = pack.run()
    left = bool({"interrupted", "handed_back"} & set(outcomes))
    if left and pack.poisoned and signals.received is None and _processes() < MOST_FRESH:
        _begin_afresh()
    if left and pack.got_on and signals.received is not signal.SIGTERM and not (pack.halted or pack.poisoned):
        _requeue(deadline)
    elif signals.received is None:
        notify.leave(submission, index)
    return outcomes


def _requeue(deadline: float) -> bool:
    """Back into the queue; tried again while there is time, as nobody else would send what is left before the next submit."""
    for pause in PAUSES_S:
        if time.time() + pause + RESERVE_S > deadline and pause:
            break
        time.sleep(pause)
        if cluster.requeue(slurm_element() or ""):
            return True
    _log("Slurm would not put this task back into the queue: the next submit sends what is left")
    return False


def _processes() -> int:
    """How many processes of this task a fault has ended before this one."""
    return int(os.environ.get(FRESH, "0"))


def _begin_afresh() -> NoReturn:
    """Replace this process by a fresh one of the same command, process id, Slurm step and environment.

    Nothing of the GPU is carried over, and a signal that comes meanwhile waits until the fresh process listens.
    """
    os.environ[FRESH] = str(_processes() + 1)
    _log(f"the GPU of this process failed: fresh process {_processes()} of at most {MOST_FRESH} goes on")
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    for number in [int(file.name) for file in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):  # the listing itself is closed by now
            os.set_inheritable(number, number <= 2)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _deadline(timeout_min: float) -> float:
    """When Slurm will end this task (seconds since 1970): asked once, else reckoned from now."""
    try:
        end = cluster.call("squeue", "-h", "-j", slurm_element() or "", "-o", "%e").strip()
        return datetime.fromisoformat(end).timestamp()
    except (UserError, ValueError):
        return time.time() + 60 * timeout_min


def _log(text: str) -> None:
    with suppress(OSError):  # on a full disk the log is what can be spared
        print(f"{log.PREFIX}{text}", file=sys.stderr, flush=True)
