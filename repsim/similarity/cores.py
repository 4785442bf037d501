"""Owns work that falls into independent pieces: on a CPU one piece to a core, which wastes less than all cores on each piece."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Found = TypeVar("Found")
ENOUGH = 4  # pieces for each core: with fewer, some cores would wait for the last piece


def each(work: Callable[[Item], Found], items: Sequence[Item], device: torch.device) -> list[Found]:
    """`work` of every item, in order. `work` must let others run while it computes, as torch and NumPy do."""
    cores = torch.get_num_threads()
    if device.type != "cpu" or cores == 1 or len(items) < ENOUGH * cores:
        return [work(item) for item in items]
    with _one_core_each(), ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, items))


@contextmanager
def _one_core_each() -> Iterator[None]:
    """One thread for torch and for NumPy's BLAS, in threads that are started inside; what was set before is set again."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@cache
def _pools() -> ThreadpoolController:
    """Of the libraries loaded by now; to look for them takes milliseconds."""
    return ThreadpoolController()
