"""Owns one setting of the C library: memory that a process has freed stays with it, ready to be used again.

By default glibc takes every block above some 32 MB from the system and gives it back as soon as it is freed. The system clears
each page when it is touched again, which for the activations of a packed pass costs as much as the arithmetic on them, and for
those of a small network in training up to a third of it.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory(device: str) -> bool:
    """Keep freed blocks of any size, for the whole process and until its end.

    False, and nothing done, where work is on another `device` than the CPU, or the C library is not glibc.

    Call it before the first large tensor is made. What is held does not shrink between two peaks, and the peak itself can be some
    blocks higher, as tensors must lie at aligned addresses.
    """
    if device != "cpu" or sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
