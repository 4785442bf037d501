"""Owns torch's process-wide switches and random states during a training; all are put back afterwards."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from repsim.errors import InputError


@contextmanager
def switched(device: torch.device, deterministic: bool | None = None) -> Iterator[None]:
    """Within: the fastest kernels by trial on CUDA or, `deterministic`, only kernels that give the same bits each time.

    None leaves that choice as it is. The global generators are put back too.

    Raises InputError where an operation of the network has no deterministic kernel on this device.
    """
    deterministic = torch.are_deterministic_algorithms_enabled() if deterministic is None else deterministic
    before = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
    if deterministic and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add up in another order
    torch.backends.cudnn.benchmark = not deterministic
    torch.use_deterministic_algorithms(deterministic)
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda"):
            yield
    except RuntimeError as error:
        if not deterministic or "deterministic" not in str(error):
            raise
        what = f"cannot be trained deterministically on {device.type}: {str(error).splitlines()[0]}"
        raise InputError(what, do="leave deterministic off for it, or train it on a CPU") from None
    finally:
        torch.backends.cudnn.benchmark = before[0]
        torch.use_deterministic_algorithms(before[1])


def seed_layers(device: torch.device, seed: int) -> None:
    """Set the global generator, from which layers such as dropout draw; called within `switched`."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)


def seed_of(seed: int, what: str, step: int) -> int:
    """A seed of 32 bits for one step of the run of `seed`: a resumed run draws as an unbroken one, with nothing to keep."""
    return int.from_bytes(hashlib.sha256(f"{what} {seed} {step}".encode()).digest()[:4])
