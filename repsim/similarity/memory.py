"""Owns how much memory a comparison may take: a share of what its device has free."""

import os
from pathlib import Path

SHARE = 0.6  # of what is free: networks, decompositions and the rest of the process take some too
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def budget(device: str = "cpu") -> int:
    """Bytes; of a GPU its own, elsewhere those of the machine or of the container around the process."""
    if device.split(":")[0] != "cuda":
        return int(SHARE * _free_on_machine())
    import torch

    return int(SHARE * torch.cuda.mem_get_info(device)[0])


def _free_on_machine() -> int:
    return int(max(0, min(_available(), _left_in_container())))


def _available() -> int:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _left_in_container() -> float:
    """Without what is only cached; infinite where there is no limit."""
    try:
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return float("inf")
