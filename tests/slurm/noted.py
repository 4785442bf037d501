"""Owns what the chaos adds to a toy job: each run takes a while, is noted when it begins, and a writer stops when it is told to.

The journal lies outside of the results and nobody of repsim knows of it: it is the witness of what was computed when.
"""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

JOURNAL, STOP = "journal", "stop-a-writer"
SHORTEST_S, LONGEST_S, STEP_S = 0.05, 0.5, 0.05
_link = os.link


def noted(run: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """`run` of a job file, one run at a time, each begun with a line in the journal."""

    def slowly(configs: Sequence[Any], context: Any) -> Iterator[Any]:
        folder = Path(os.environ["CHAOS_FOLDER"])
        os.link = lambda source, target: _stop_then_link(folder, source, target)
        for config in configs:
            run_id = context.run_id(config)
            note(folder, run_id)
            _take_time(run_id, context)
            yield from run([config], context)

    return slowly


def note(folder: Path, run_id: str) -> None:
    """One line: when (seconds since 1970), run, process, task."""
    task = f"{os.environ.get('SLURM_ARRAY_JOB_ID', os.environ.get('SLURM_JOB_ID'))}_{os.environ.get('SLURM_ARRAY_TASK_ID', 0)}"
    with (folder / JOURNAL).open("a") as journal:
        journal.write(f"{time.time():.4f} {run_id} {os.getpid()} {task}\n")


def _take_time(run_id: str, context: Any) -> None:
    """Between the shortest and the longest time, the same for a run every time; no time at all where pace is 0."""
    share = int(hashlib.sha256(run_id.encode()).hexdigest()[:6], 16) / 0xFFFFFF
    end = time.monotonic() + float(os.environ["CHAOS_PACE"]) * (SHORTEST_S + share * (LONGEST_S - SHORTEST_S))
    while time.monotonic() < end:
        context.tick()
        time.sleep(STEP_S)


def _stop_then_link(folder: Path, source: Any, target: Any) -> None:
    """Between write and rename: one process takes the order to stop, and does."""
    with suppress(FileNotFoundError):  # another process took it, or nobody gave it
        (folder / STOP).rename(folder / f"stopped.{os.getpid()}")
        os.kill(os.getpid(), signal.SIGSTOP)
    _link(source, target)
