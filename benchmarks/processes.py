"""Owns running a script of this folder as a process of its own: what it printed last, and the seconds it took."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Done:
    """The last line of a script, read as JSON; the seconds from its start to its end, and those that processors worked for it.

    On a machine that others use too the second says more than the first.
    """

    wall: float
    cpu: float
    said: dict[str, Any]


def run(script: str, words: Sequence[Any], threads: int | None = None) -> Done:
    """Run `script` of this folder to its end, with so many threads (None: as many as it likes)."""
    started, before = perf_counter(), _cpu()
    said = _said(script, words, threads)
    done = Done(perf_counter() - started, _cpu() - before, said)
    print(f"{script} {' '.join(map(str, words[-4:]))}: {done.wall:.1f} s", file=sys.stderr)
    return done


def beside(script: str, each: Sequence[Sequence[Any]], threads: int) -> tuple[float, list[dict[str, Any]]]:
    """Run `script` once per list of words, all at the same time: seconds until the last ended, and what each said."""
    started = perf_counter()
    with ThreadPoolExecutor(len(each)) as pool:
        said = list(pool.map(lambda words: _said(script, words, threads), each))
    wall = perf_counter() - started
    print(f"{script} {len(each)} at once: {wall:.1f} s", file=sys.stderr)
    return wall, said


def memory_mb(device: str) -> int:
    """Peak of this process and its largest child; on a GPU also what was allocated there."""
    import torch

    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return kib // 1024 + (torch.cuda.max_memory_allocated() // 1024**2 if device == "cuda" else 0)


def _said(script: str, words: Sequence[Any], threads: int | None) -> dict[str, Any]:
    free = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    env = free if threads is None else free | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, str(HERE / script), *map(str, words)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _cpu() -> float:
    """Processor seconds of all processes started and ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
