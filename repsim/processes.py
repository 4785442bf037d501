"""Owns which process of this machine a process id means: ids come round again, and soon on a machine that was started anew."""

import os
from pathlib import Path

PROC = Path("/proc")
AFTER_NAME = 19  # of the fields of /proc/PID/stat that follow the name: when it was started


def born(pid: int) -> str | None:
    """When a process was started, in ticks of the present start of the machine; None if there is none, or nothing tells."""
    try:
        started = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[AFTER_NAME]
        return f"{started}@{(PROC / 'sys/kernel/random/boot_id').read_text().strip()}"
    except (OSError, IndexError):
        return None


def lives(pid: int, birth: str | None = None) -> bool:
    """Whether the process that was born so is there, whoever owns it; where its birth is not known, whether that id is ours."""
    if birth is not None and PROC.is_dir():
        return born(pid) == birth
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
