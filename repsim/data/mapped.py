"""Owns reading images from a mapped file while the device is busy with those before."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch


def tensor(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor that shares its memory; nobody writes to a mapped one, which is read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def gather(images: torch.Tensor, index: torch.Tensor | slice, pin: bool) -> torch.Tensor:
    """A copy in memory of the images at `index`; in pinned memory, from which a GPU fetches without waiting, where so asked."""
    chosen = images[index]
    if isinstance(index, slice) and not pin:
        return chosen.clone()
    return chosen.pin_memory() if pin else chosen


def ahead(read: Callable[[torch.Tensor | slice], torch.Tensor], indices: Iterable[torch.Tensor | slice]) -> Iterator[torch.Tensor]:
    """`read` of each index in turn, always one ahead of who iterates, by a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="images") as reader:
        coming = None
        for index in indices:
            ready, coming = coming, reader.submit(read, index)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
