"""Owns the words for what measured: processor, card, versions, and the command, for the head of every report."""

import os
import platform
import shlex
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

LIBRARIES = ("torch", "torchvision", "pillow")


def described(device: str) -> str:
    """Date, card or processor, threads and versions, in one line."""
    card = [torch.cuda.get_device_name()] if device == "cuda" else []
    names = [f"{name} {version(name)}" for name in LIBRARIES]
    parts = [*card, processor(), f"{len(os.sched_getaffinity(0))} cores", f"Python {platform.python_version()}", *names]
    return f"{datetime.now(UTC):%Y-%m-%d}; {', '.join(parts)}."


def command(folders: Collection[Path]) -> str:
    """The command line without the folders, which are nobody else's."""
    hidden = {str(folder) for folder in folders}
    return shlex.join([Path(sys.argv[0]).name, *(word for word in sys.argv[1:] if word not in hidden)])


def processor() -> str:
    """The model's name as Linux has it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
