"""Owns re-estimated batch norm: running statistics of g as the stitched activations would have left them.

Godfrey et al. (2022) average them by one pass over the training images before each evaluation. Here every stitcher
gets its own statistics, in its own buffers; those of the network are never touched.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from repsim.stitching.packing import Seat
from repsim.stitching.pair import Batch, Pair

Buffers = dict[str, Tensor]


@torch.no_grad()
def reestimate(pair: Pair, seats: Sequence[Seat], batches: Iterable[Batch]) -> list[Buffers]:
    """For every seat the buffers of its suffix's batch norms: averages over `batches`, weighted by their images.

    A last batch of one image is left out, as it has no variance where the maps are 1×1.
    """
    buffers = [_copies(pair.suffixes[seat.end_layer]) for seat in seats]
    seen = 0
    for x, _ in batches:
        if len(x) == 1 and seen:
            continue
        seen += len(x)
        reading = pair.read(x)
        for seat, own in zip(seats, buffers, strict=True):
            suffix = pair.suffixes[seat.end_layer]
            value = seat.stitcher(reading.front[seat.front_layer])
            with _batch_statistics(suffix, share=len(x) / seen):
                functional_call(suffix, own, (value.clone(), *(c.clone() for c in reading.carried[seat.end_layer])))
    return buffers


def norms(suffix: nn.Module) -> dict[str, _BatchNorm]:
    """The batch norms with running statistics behind the cut, by name."""
    return {name: m for name, m in suffix.named_modules() if isinstance(m, _BatchNorm) and m.track_running_stats}


def _copies(suffix: nn.Module) -> Buffers:
    return {f"{name}.{key}": b.clone() for name, norm in norms(suffix).items() for key, b in norm.named_buffers()}


@contextmanager
def _batch_statistics(suffix: nn.Module, share: float) -> Iterator[None]:
    """Norms use and record the statistics of the batch, which enter the running ones with weight `share`."""
    members = norms(suffix).values()
    before = [(norm, norm.training, norm.momentum) for norm in members]
    try:
        for norm, _, _ in before:
            norm.training, norm.momentum = True, share
        yield
    finally:
        for norm, training, momentum in before:
            norm.training, norm.momentum = training, momentum
