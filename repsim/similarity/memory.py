"""Owns how much memory a comparison may take: a share of what its device has free."""

import os
from pathlib import Path

SHARE = 0.6  # of what is free: networks, decompositions and the rest of the process take some too
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")  # "0::/slurm/job_1/step_0": the group of this process below CGROUP


def budget(device: str = "cpu", beside: int = 1) -> int:
    """Bytes; of a GPU its own, elsewhere those of the machine, or of the containers and the Slurm job around the process.

    `beside`: processes that start on this machine at once, this one among them, each with an equal share.
    """
    if device.split(":")[0] != "cuda":
        return int(SHARE * _free_on_machine() / beside)
    import torch

    return int(SHARE * torch.cuda.mem_get_info(device)[0])


def _free_on_machine() -> int:
    return int(max(0, min(_available(), _granted(), *map(_left_in, _containers()))))


def _available() -> int:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _granted() -> float:
    """What Slurm gave to the job on this node, in MB by its variable; infinite elsewhere, and for all (0)."""
    megabytes = os.environ.get("SLURM_MEM_PER_NODE", "")
    return int(megabytes) * 2**20 if megabytes.isdecimal() and int(megabytes) else float("inf")


def _containers() -> list[Path]:
    """The control group of this process, and those around it."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return [CGROUP]
    own = CGROUP / next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    return [own, *(folder for folder in own.parents if folder.is_relative_to(CGROUP))]


def _left_in(container: Path) -> float:
    """Without what is only cached; infinite where there is no limit."""
    try:
        limit, used = (int((container / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (container / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return float("inf")
