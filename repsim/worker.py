"""Owns what Slurm runs: one task of a plan in a process of its own, its signals, its deadline, and its way back into the queue.

SIGTERM or USR2 → the present group leaves at its next step, unpublished; at the time limit the task puts
itself back into the queue, if it finished at least one group
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from repsim import cluster, code, hardware, log, notify
from repsim.errors import UserError
from repsim.measuring import slurm_element
from repsim.pack import Pack
from repsim.submission import Submission


@dataclass
class Signals:
    """Remembers the first request to stop."""

    received: signal.Signals | None = None

    def listen(self) -> None:
        """Take SIGTERM (cancel, preemption) and USR2 (the time limit is near) from here on."""
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, self._take)

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
    os.environ["REPSIM_DATA"] = os.pathsep.join(submission.plan["data"])  # registered data sets are looked up by it
    code.must_be_frozen(Path(submission.plan["code"]))
    deadline = _deadline(submission.plan["timeout_min"])
    pack = Pack(
        submission,
        index,
        stop=lambda: signals.received is not None,
        time_left=lambda: deadline - time.time(),
        listen=lambda *_: None,
        log=_log,
        expired=lambda: signals.received is signal.SIGUSR2,
    )
    outcomes = pack.run()
    if signals.received is not signal.SIGTERM and "done" in outcomes and {"interrupted", "handed_back"} & set(outcomes):
        cluster.requeue(slurm_element() or "")
    elif signals.received is None:
        notify.leave(submission, index)
    failed = outcomes.count("failed")
    if failed:
        raise RuntimeError(f"{failed} of {len(outcomes)} groups failed; see above")
    return outcomes


def _deadline(timeout_min: float) -> float:
    """When Slurm will end this task (seconds since 1970): asked once, else reckoned from now."""
    try:
        end = cluster.call("squeue", "-h", "-j", slurm_element() or "", "-o", "%e").strip()
        return datetime.fromisoformat(end).timestamp()
    except (UserError, ValueError):
        return time.time() + 60 * timeout_min


def _log(text: str) -> None:
    print(f"{log.PREFIX}{text}", file=sys.stderr, flush=True)
