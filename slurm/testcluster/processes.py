"""Owns what is read from /proc: which processes belong to a cluster, who is alive, who descends from whom."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from cluster import Cluster


def pid_of(cluster: Cluster, daemon: str) -> int | None:
    """The daemon's process id, None when it is not alive. The name is compared: a pid may have been given away."""
    try:
        pid = int(cluster.pid_file(daemon).read_text())
    except (OSError, ValueError):
        return None
    return pid if is_running(pid, daemon) else None


def is_running(pid: int, daemon: str) -> bool:
    """Whether the process lives and is still this daemon, even when it has removed its pid file already."""
    return _name(pid) == daemon.partition(".")[0]


def of_jobs(cluster: Cluster, node: str | None = None) -> set[int]:
    """Processes of jobs, on one node or on all: slurmstepd, what descends from it, and what it left behind.

    A child that was reparented is known by its environment; slurmstepd, which overwrites its own, by its open log.
    """
    conf, us = os.fsencode(cluster.conf), os.getpid()
    logs = {str(cluster.log(f"slurmd.{name}")) for name in ([node] if node else cluster.node_names)}
    found = {pid for pid in _all() if _is_left_by_job(pid, conf, node) or _is_stepd(pid, logs)}
    return with_descendants(found) - {us}


def with_descendants(pids: set[int]) -> set[int]:
    parents = {pid: _parent(pid) for pid in _all()}
    family, size = set(pids), -1
    while size < len(family):
        size = len(family)
        family |= {pid for pid, parent in parents.items() if parent in family}
    return family


def kill(pids: Iterable[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_at_once(find: Callable[[], set[int]], seconds: float = 5) -> bool:
    """Kill all that `find` finds, until it finds none. All are stopped first: nobody sees another die and tells of it."""

    def none_left() -> bool:
        pids = find()
        kill(pids, signal.SIGSTOP)
        kill(pids)
        return not pids

    return wait_until(none_left, seconds)


def wait_until(true: Callable[[], object], seconds: float, every: float = 0.05) -> bool:
    """Whether `true()` came to hold within `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_left_by_job(pid: int, conf: bytes, node: str | None) -> bool:
    environment = _read(pid, "environ").split(b"\0")
    if b"SLURM_CONF=" + conf not in environment or not any(item.startswith(b"SLURM_JOB_ID=") for item in environment):
        return False
    return node is None or b"SLURMD_NODENAME=" + node.encode() in environment


def _is_stepd(pid: int, logs: set[str]) -> bool:
    return _name(pid) == "slurmstepd" and any(target in logs for target in _open_files(pid))


def _open_files(pid: int) -> list[str]:
    try:
        return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def _name(pid: int) -> str | None:
    """The program's name; None for a process that is gone or a zombie."""
    before, _, after = _read(pid, "stat").rpartition(b") ")
    return None if after[:1] in (b"", b"Z") else before.partition(b"(")[2].decode(errors="replace")


def _parent(pid: int) -> int:
    return int((_read(pid, "stat").rpartition(b") ")[2].split() or [b"", b"0"])[1])


def _read(pid: int, name: str) -> bytes:
    """Empty when the process is gone or is another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
