"""Owns what a process knows of the machine it runs on, without importing torch.

After a job has run, torch is in `sys.modules` if the job used it; only then is it asked.
"""

import gc
import os
import platform
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

from repsim.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")
DRIVER = Path("/dev/nvidiactl")  # there where a driver is loaded, also in a container without nvidia-smi

_LISTED: dict[str, list[str]] = {}
"""What each nvidia-smi said: it takes a good part of a second, and cards do not come and go while a process lives."""


def pick_device(wish: str) -> str:
    """`auto` → "cuda" where nvidia-smi lists a card, else "mps" on an Apple chip, else "cpu"; another wish as it is.

    Raises UserError for a wish that this machine cannot grant.
    """
    if wish not in DEVICES:
        raise UserError(f"unknown device '{wish}'", do=f"valid: {', '.join(DEVICES)}")
    if wish == "auto":
        return "cuda" if gpus() else "mps" if _is_apple_chip() else "cpu"
    if wish == "cuda" and not (gpus() or DRIVER.exists()):
        raise UserError("this machine has no NVIDIA card, or no driver for it", where="device cuda", do="say auto or cpu")
    if wish == "mps" and not _is_apple_chip():
        raise UserError("this machine has no Apple chip", where="device mps", do="say auto or cpu")
    return wish


def gpus() -> list[str]:
    """Names of the NVIDIA cards that nvidia-smi lists; empty where there is none. Once it answered, it is not asked again."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    _LISTED[command] = _LISTED.get(command) or _ask(command)
    return _LISTED[command]


def _ask(command: str) -> list[str]:
    try:
        answer = subprocess.run(
            [command, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.strip().splitlines() if answer.returncode == 0 else []


def cards() -> list[str]:
    """The cards that this process may use, in the words of CUDA_VISIBLE_DEVICES: those it names, else all that nvidia-smi lists."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        return [str(index) for index in range(len(gpus()))]
    return list(takewhile(lambda name: name not in ("", "-1"), (name.strip() for name in said.split(","))))  # CUDA stops there too


def card(device: str) -> str | None:
    """Name of the first card that this process may use, asked of nvidia-smi; None on another device, or where it does not say."""
    if device != "cuda":
        return None
    names, first = gpus(), os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    index = int(first) if first.isdigit() and int(first) < len(names) else 0
    return names[index].strip() if names else None


def free_memory() -> None:
    """Give back what torch, where it is imported, keeps of memory that nothing uses any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _is_apple_chip() -> bool:
    return (platform.system(), platform.machine()) == ("Darwin", "arm64")


def limit_threads() -> None:
    """Let torch use the cores Slurm gave to this task, not all cores of the node; before torch is imported."""
    cores = os.environ.get("SLURM_CPUS_PER_TASK")
    if cores and "torch" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = cores
        os.environ["MKL_NUM_THREADS"] = cores


def lived_s() -> float:
    """Seconds since this process began; 0 where the system does not tell."""
    try:
        began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, float(Path("/proc/uptime").read_text().split()[0]) - began)
    except (OSError, ValueError, IndexError):
        return 0.0


def observed(device: str) -> dict[str, Any]:
    """Host, device, GPU name, torch and CUDA versions, and peak memory in GB, as provenance columns."""
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and device.startswith("cuda") and torch.cuda.is_initialized()
    return {
        "host": platform.node(),
        "device": device,
        "gpu": torch.cuda.get_device_name() if torch and on_gpu else None,
        "torch": str(torch.__version__) if torch else None,
        "cuda": torch.version.cuda if torch and on_gpu else None,
        "peak_memory_gb": _peak_gpu_gb(torch) if on_gpu else _peak_host_gb(),
    }


def _peak_gpu_gb(torch: Any) -> float:
    return round(torch.cuda.max_memory_allocated() / 1e9, 3)


def _peak_host_gb() -> float:
    import resource  # not on Windows, where Slurm is not either

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if platform.system() == "Darwin" else 1024) / 1e9, 3)
